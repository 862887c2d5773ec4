"""Both vendors together, as the service has them when both keys are set."""

from collections.abc import Callable
from uuid import UUID

from agent_service.contract import Passage
from agent_service.pipeline.prompting import question_with_passages
from agent_service.ports import Prompt, StoredChunk
from agent_service.providers.registry import opened
from agent_service.settings import Settings
from tests.agent_service.conftest import VENDOR_DIMENSION
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.pinecone import PineconeEmulator

TEXTS = ["The dome is 18 metres wide.", "Tickets cost 12 euros.", "The cat sleeps all day."]
QUESTION = "How much do tickets cost?"


async def test_a_question_finds_its_text_and_is_answered_from_it(
    vendor_settings: Callable[..., Settings], gemini: GeminiEmulator, pinecone: PineconeEmulator
) -> None:
    async with opened(vendor_settings(google_embedding_dimension=VENDOR_DIMENSION)) as catalogue:
        assert catalogue.store_name == "pinecone"
        embedder = catalogue.embedder(catalogue.default_embedding)
        vectors = (await embedder.embed_documents(TEXTS)).vectors
        chunks = [
            StoredChunk(UUID(int=number), UUID(int=9), UUID(int=9), vector) for number, vector in enumerate(vectors)
        ]
        await catalogue.store.upsert("bot", chunks)
        hits = await catalogue.store.search("bot", (await embedder.embed_query(QUESTION)).vectors[0], 2)
        passages = [
            Passage(id=UUID(bytes=hit.chunk), title="Guide", text=TEXTS[UUID(bytes=hit.chunk).int]) for hit in hits
        ]
        message = question_with_passages(QUESTION, passages)
        prompt = Prompt("", (), message, QUESTION, passages, temperature=0, max_output_tokens=100)
        model = catalogue.chat_model(catalogue.default_chat_model)
        answer = "".join([piece.text async for piece in model.stream(prompt)])
    assert answer == "Tickets cost 12 euros. [1]"
