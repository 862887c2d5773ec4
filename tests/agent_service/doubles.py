"""Models at the ports that do as they are told and remember what happened."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from agent_service.contract import Usage
from agent_service.pipeline.catalogue import Catalogue
from agent_service.ports import Embedded, Piece, Prompt, Vector, VectorStore
from agent_service.providers.pgvector import PgvectorStore
from agent_service.providers.postings import PostingIndex
from agent_service.settings import Settings

Step = str | Piece | float | Exception
"""A text, a whole piece, seconds of silence, or a failure."""

STOP = Piece(finish_reason="stop", usage=Usage(provider="fake", model="chat", input_tokens=20, output_tokens=7))


@dataclass
class ScriptedChat:
    """The n-th call follows the n-th script, further ones the last."""

    scripts: Sequence[Sequence[Step]] = ((STOP,),)
    id: str = "fake:chat"
    context_tokens: int = 8_000
    prompts: list[Prompt] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        script = self.scripts[min(self.opened, len(self.scripts) - 1)]
        self.opened += 1
        self.prompts.append(prompt)
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield Piece(text=step) if isinstance(step, str) else step
        finally:
            self.closed += 1


def says(*steps: Step) -> ScriptedChat:
    """A model that says this and stops as it should."""
    return ScriptedChat([(*steps, STOP)])


def follows(*steps: Step) -> ScriptedChat:
    """A model that does exactly this."""
    return ScriptedChat([steps])


@dataclass
class ScriptedEmbedder:
    """Vectors that depend on the text alone; `spoil` may put others in their place."""

    spoil: Callable[[list[Vector]], list[Vector]] = lambda vectors: vectors
    faults: list[Exception] = field(default_factory=list)
    seconds: float = 0.0
    id: str = "fake:letters:8"
    dimension: int = 8
    batches: list[list[str]] = field(default_factory=list)

    async def embed_documents(self, texts: Sequence[str]) -> Embedded:
        self.batches.append(list(texts))
        await asyncio.sleep(self.seconds)
        if self.faults:
            raise self.faults.pop(0)
        usage = Usage(provider="fake", model="letters", input_tokens=len(texts), output_tokens=0)
        return Embedded(self.spoil([_vector(text, self.dimension) for text in texts]), usage)

    async def embed_query(self, text: str) -> Embedded:
        return await self.embed_documents([text])

    def lexical_share(self, language: str) -> float:
        return 0.5 if language else 0.4


def _vector(text: str, dimension: int) -> Vector:
    return [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:dimension]]


def catalogue_of(
    chat: ScriptedChat, embedder: ScriptedEmbedder, store: VectorStore | None = None
) -> Callable[[Settings], AbstractAsyncContextManager[Catalogue]]:
    """For `create_app`: these models over the real vector store."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[Catalogue]:
        pgvector = PgvectorStore(settings)
        yield Catalogue(
            chat_models={chat.id: chat},
            embedders={embedder.id: embedder},
            store=store or pgvector,
            store_name="pgvector",
            default_chat_model=chat.id,
            default_embedding=embedder.id,
            lexical=None if store else PostingIndex(pgvector.database),
        )
        await pgvector.aclose()

    return opened
