"""OpenAI's embeddings, and those of a server that speaks its protocol: the real LangChain package over HTTP against the
emulator.
"""

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator

import pytest

from agent_service.errors import EmbeddingInvalid, UpstreamError
from agent_service.pipeline.embedding import checked
from agent_service.ports import Embedded
from agent_service.providers.openai import BATCH_TEXTS, OpenAIEmbedder, Server
from tests.agent_service.vendors import ENDPOINT, OPENAI, VENDOR_KEY
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.server import Running

ROUTE = "embeddings"
DIMENSION = 64


@pytest.fixture(scope="module")
def server() -> Iterator[Running[OpenAIEmulator]]:
    with Running(OpenAIEmulator(VENDOR_KEY)) as server:
        yield server


@pytest.fixture
def emulator(server: Running[OpenAIEmulator]) -> OpenAIEmulator:
    server.emulator.reset()
    return server.emulator


@pytest.fixture
async def embedder(server: Running[OpenAIEmulator], emulator: OpenAIEmulator) -> AsyncIterator[OpenAIEmbedder]:
    settings = OPENAI.configured(server.url, embedding_store_seconds=0.5)
    embedder = OpenAIEmbedder(settings, Server.own(settings), "text-embedding-3-small", DIMENSION)
    yield embedder
    await embedder.aclose()


@pytest.fixture
async def local(server: Running[OpenAIEmulator], emulator: OpenAIEmulator) -> AsyncIterator[OpenAIEmbedder]:
    settings = ENDPOINT.configured(server.url)
    embedder = OpenAIEmbedder(settings, Server.of(settings.openai_endpoints[0]), "nomic-embed-text", 768)
    yield embedder
    await embedder.aclose()


def trusted(embedded: Embedded, embedder: OpenAIEmbedder, count: int) -> Embedded:
    return checked(embedded, embedding=embedder.id, count=count, dimension=embedder.dimension)


async def test_vectors_come_in_the_order_of_the_texts(embedder: OpenAIEmbedder) -> None:
    texts = [f"Text number {number} about subject {number * 7}" for number in range(BATCH_TEXTS * 2 + 5)]
    together = trusted(await embedder.embed_documents(texts), embedder, len(texts))
    for place in (0, BATCH_TEXTS, len(texts) - 1):
        alone = trusted(await embedder.embed_query(texts[place]), embedder, 1)
        assert together.vectors[place] == pytest.approx(alone.vectors[0], abs=1e-6)


async def test_openai_is_told_the_dimension_and_sends_packed_numbers(
    embedder: OpenAIEmbedder, emulator: OpenAIEmulator
) -> None:
    await embedder.embed_query("two")
    [call] = emulator.journal.of(ROUTE)
    assert (call.body["dimensions"], call.body["encoding_format"]) == (DIMENSION, "base64")


async def test_a_relative_is_asked_for_nothing_that_it_may_not_know(
    local: OpenAIEmbedder, emulator: OpenAIEmulator
) -> None:
    trusted(await local.embed_documents(["one", "two"]), local, 2)
    [call] = emulator.journal.of(ROUTE)
    assert call.body == {"input": ["one", "two"], "model": "nomic-embed-text"}
    assert local.id == "ollama:nomic-embed-text:768"


async def test_usage_is_the_vendors(embedder: OpenAIEmbedder) -> None:
    usage = (await embedder.embed_documents(["twelve chars"] * (BATCH_TEXTS + 1))).usage
    assert (usage.provider, usage.model) == ("openai", "text-embedding-3-small")
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (3 * (BATCH_TEXTS + 1), 0, False)


@pytest.mark.parametrize("kind", ["nouse", "neguse"])
async def test_usage_is_estimated_where_the_server_does_not_say(
    embedder: OpenAIEmbedder, emulator: OpenAIEmulator, kind: str
) -> None:
    emulator.fault(ROUTE, kind)
    usage = (await embedder.embed_documents(["twelve chars", "twelve chars"])).usage
    assert (usage.input_tokens, usage.estimated) == (6, True)


@pytest.mark.parametrize("kind", ["dim", "nan", "zero", "short"])
async def test_bad_vectors_never_get_in(embedder: OpenAIEmbedder, emulator: OpenAIEmulator, kind: str) -> None:
    emulator.fault(ROUTE, kind)
    with pytest.raises(EmbeddingInvalid):
        trusted(await embedder.embed_documents(["one", "two", "three"]), embedder, 3)


async def test_vectors_of_any_length_are_made_unit_vectors(embedder: OpenAIEmbedder, emulator: OpenAIEmulator) -> None:
    emulator.fault(ROUTE, "unnormalised")
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
        ("badbytes", "garbage"),
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
    embedder: OpenAIEmbedder, emulator: OpenAIEmulator, kind: str, translated: str, verb: str
) -> None:
    emulator.fault(ROUTE, kind, retry_after=4)
    with pytest.raises(UpstreamError) as raised:
        await (embedder.embed_query("text") if verb == "embed_query" else embedder.embed_documents(["text"]))
    assert raised.value.kind == translated
    assert raised.value.retry_after in (4, None)
    assert emulator.journal.count() == 1
    assert VENDOR_KEY not in "".join(traceback.format_exception(raised.value))


async def test_the_first_failing_batch_ends_the_others(embedder: OpenAIEmbedder, emulator: OpenAIEmulator) -> None:
    emulator.fault(ROUTE, "500", times=1)
    emulator.fault(ROUTE, "hang")
    with pytest.raises(UpstreamError) as raised:
        await embedder.embed_documents(["text"] * BATCH_TEXTS * 8)
    assert raised.value.kind == "unavailable"
    async with asyncio.timeout(5):
        while emulator.journal.open_streams:  # noqa: ASYNC110 - it is another thread that counts
            await asyncio.sleep(0.01)


async def test_no_text_is_no_call(embedder: OpenAIEmbedder, emulator: OpenAIEmulator) -> None:
    assert (await embedder.embed_documents([])).vectors == []
    assert emulator.journal.count() == 0
