"""The embedding adapter: the real SDK over HTTP against the emulator."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable

import pytest

from agent_service.errors import EmbeddingInvalid, UpstreamError
from agent_service.pipeline.embedding import checked
from agent_service.ports import Embedded
from agent_service.providers.gemini import BATCH_TEXTS, GeminiEmbedder
from agent_service.settings import Settings
from tests.agent_service.vendors import VENDOR_KEY
from tests.emulators.gemini import GeminiEmulator

BATCH = "batchEmbedContents"
DIMENSION = 64


@pytest.fixture
async def embedder(vendor_settings: Callable[..., Settings], gemini: GeminiEmulator) -> AsyncIterator[GeminiEmbedder]:
    embedder = GeminiEmbedder(vendor_settings(), "gemini-embedding-001", DIMENSION)
    yield embedder
    await embedder.aclose()


def trusted(embedded: Embedded, embedder: GeminiEmbedder, count: int) -> Embedded:
    return checked(embedded, embedding=embedder.id, count=count, dimension=embedder.dimension)


async def test_vectors_come_in_the_order_of_the_texts(embedder: GeminiEmbedder) -> None:
    texts = [f"Text number {number} about subject {number * 7}" for number in range(BATCH_TEXTS * 2 + 5)]
    together = trusted(await embedder.embed_documents(texts), embedder, len(texts))
    for place in (0, BATCH_TEXTS, len(texts) - 1):
        alone = await embedder.embed_documents([texts[place]])
        assert together.vectors[place] == pytest.approx(alone.vectors[0])


async def test_a_query_is_near_what_it_asks_for(embedder: GeminiEmbedder) -> None:
    documents = await embedder.embed_documents(["The dog weighs 12 kg.", "Interest rates rose in March."])
    query = (await embedder.embed_query("How much does the dog weigh?")).vectors[0]
    near, far = (sum(a * b for a, b in zip(query, vector, strict=True)) for vector in documents.vectors)
    assert near > far


async def test_the_vendor_is_told_task_and_dimension(embedder: GeminiEmbedder, gemini: GeminiEmulator) -> None:
    await embedder.embed_documents(["one"])
    await embedder.embed_query("two")
    sent = [call.body["requests"][0] for call in gemini.journal.of(BATCH)]
    assert [item["taskType"] for item in sent] == ["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]
    assert {item["outputDimensionality"] for item in sent} == {DIMENSION}


async def test_usage_is_an_estimate_and_says_so(embedder: GeminiEmbedder) -> None:
    usage = (await embedder.embed_documents(["twelve chars", "twelve chars"])).usage
    assert (usage.provider, usage.model) == ("google", "gemini-embedding-001")
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (6, 0, True)


async def test_the_embedder_says_what_it_is(embedder: GeminiEmbedder) -> None:
    assert (embedder.id, embedder.dimension) == (f"google:gemini-embedding-001:{DIMENSION}", DIMENSION)


@pytest.mark.parametrize("kind", ["dim", "nan", "zero", "short"])
async def test_bad_vectors_never_get_in(embedder: GeminiEmbedder, gemini: GeminiEmulator, kind: str) -> None:
    gemini.fault(BATCH, kind)
    with pytest.raises(EmbeddingInvalid):
        trusted(await embedder.embed_documents(["one", "two", "three"]), embedder, 3)


async def test_a_vector_short_in_one_batch_does_not_move_those_of_the_next(
    embedder: GeminiEmbedder, gemini: GeminiEmulator
) -> None:
    gemini.fault(BATCH, "short", times=1)
    with pytest.raises(EmbeddingInvalid) as raised:
        await embedder.embed_documents(["text"] * BATCH_TEXTS * 2)
    assert raised.value.details["reason"] == "count"


async def test_vectors_of_any_length_are_made_unit_vectors(embedder: GeminiEmbedder, gemini: GeminiEmulator) -> None:
    gemini.fault(BATCH, "unnormalised")
    vector = trusted(await embedder.embed_query("text"), embedder, 1).vectors[0]
    assert sum(value * value for value in vector) == pytest.approx(1)


@pytest.mark.parametrize(
    ("kind", "translated"),
    [
        ("400", "rejected"),
        ("401", "unauthorised"),
        ("429", "rate_limited"),
        ("500", "unavailable"),
        ("html502", "unavailable"),
        ("rst", "unreachable"),
        ("hang", "timeout"),
        ("empty200", "garbage"),
        ("notjson", "garbage"),
        ("wrongshape", "garbage"),
        ("novalues", "garbage"),
        ("redirect", "garbage"),
        ("gzipbomb", "garbage"),
        ("hugeline", "garbage"),
        ("echo_key", "rejected"),
    ],
)
@pytest.mark.parametrize("verb", ["embed_query", "embed_documents"])
async def test_each_failure_is_one_call_and_one_error_of_ours(
    embedder: GeminiEmbedder, gemini: GeminiEmulator, kind: str, translated: str, verb: str
) -> None:
    gemini.fault(BATCH, kind, retry_after=4)
    with pytest.raises(UpstreamError) as raised:
        await (embedder.embed_query("text") if verb == "embed_query" else embedder.embed_documents(["text"]))
    assert raised.value.kind == translated
    assert raised.value.retry_after in (4, None)
    assert gemini.journal.count() == 1
    assert VENDOR_KEY not in "".join(traceback.format_exception(raised.value))


async def test_the_first_failing_batch_ends_the_others(embedder: GeminiEmbedder, gemini: GeminiEmulator) -> None:
    gemini.fault(BATCH, "500", times=1)
    gemini.fault(BATCH, "hang")
    with pytest.raises(UpstreamError) as raised:
        await embedder.embed_documents(["text"] * BATCH_TEXTS * 8)
    assert raised.value.kind == "unavailable"
    await asyncio.sleep(0.05)
    assert gemini.journal.open_streams == 0


async def test_no_text_is_no_call(embedder: GeminiEmbedder, gemini: GeminiEmulator) -> None:
    assert (await embedder.embed_documents([])).vectors == []
    assert gemini.journal.count() == 0
