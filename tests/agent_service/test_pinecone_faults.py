"""What the Pinecone adapter makes of every way in which Pinecone can fail: one call, one error of ours."""

import asyncio
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from agent_service.errors import UpstreamError
from agent_service.providers.pinecone import PineconeStore
from agent_service.settings import Settings
from tests.agent_service.test_pinecone_store import BOT, chunk, vector
from tests.agent_service.vendors import VENDOR_KEY
from tests.emulators.pinecone import PineconeEmulator

CASES = [
    ("400", "rejected", 400, False),
    ("401", "unauthorised", 401, False),
    ("403", "unauthorised", 403, False),
    ("429", "rate_limited", 429, True),
    ("500", "unavailable", 500, True),
    ("503", "unavailable", 503, True),
    ("html502", "unavailable", 502, True),
    ("rst", "unreachable", None, True),
    ("hang", "timeout", None, True),
    ("slowhdr", "timeout", None, True),
    ("dripbody", "timeout", None, True),
    ("cutbody", "unreachable", None, True),
    ("empty200", "garbage", None, True),
    ("notjson", "garbage", None, True),
    ("wrongshape", "garbage", None, True),
    ("badbytes", "garbage", None, True),
    ("redirect", "garbage", 307, True),
    ("gzipbomb", "garbage", None, True),
    ("hugeline", "garbage", None, True),
]

CALLS: dict[str, Callable[[PineconeStore], Awaitable[Any]]] = {
    "query": lambda store: store.search(BOT, vector("text"), 3),
    "upsert": lambda store: store.upsert(BOT, [chunk(1)]),
    "fetch": lambda store: store.present(BOT, [UUID(int=1)]),
    "stats": lambda store: store.check(),
    "list": lambda store: store.listing(BOT, None, 10),
    "delete": lambda store: store.delete(BOT, UUID(int=1), None, None),
}


@pytest.fixture
async def store(vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator) -> AsyncIterator[PineconeStore]:
    """Opened, with one vector in it."""
    store = PineconeStore(vendor_settings(vector_seconds=0.5))
    await store.check()
    await store.upsert(BOT, [chunk(1)])
    yield store
    await store.aclose()


@pytest.mark.parametrize(("kind", "translated", "status", "retryable"), CASES)
async def test_each_failure_of_a_query_is_one_call_and_one_error_of_ours(
    store: PineconeStore, pinecone: PineconeEmulator, kind: str, translated: str, status: int | None, retryable: bool
) -> None:
    pinecone.fault("query", kind, times=1)
    started = time.monotonic()
    with pytest.raises(UpstreamError) as raised:
        await CALLS["query"](store)
    assert time.monotonic() - started < 2
    error = raised.value
    assert (error.kind, error.upstream_status, error.retryable) == (translated, status, retryable)
    assert (error.upstream, pinecone.journal.count("query")) == ("pinecone", 1)
    assert error.__cause__ is not None


@pytest.mark.parametrize("kind", ["429", "503", "rst", "hang", "redirect", "notjson", "empty200", "wrongshape"])
@pytest.mark.parametrize("route", ["upsert", "fetch", "stats", "list"])
async def test_every_call_is_translated(
    store: PineconeStore, pinecone: PineconeEmulator, route: str, kind: str
) -> None:
    pinecone.fault(route, kind, times=1)
    before = pinecone.journal.count(route)
    with pytest.raises(UpstreamError):
        await CALLS[route](store)
    assert pinecone.journal.count(route) == before + 1


@pytest.mark.parametrize("kind", ["429", "503", "rst", "hang"])
async def test_a_failed_deletion_is_not_taken_for_done(
    store: PineconeStore, pinecone: PineconeEmulator, kind: str
) -> None:
    pinecone.fault("delete", kind, times=1)
    with pytest.raises(UpstreamError):
        await CALLS["delete"](store)
    assert await store.count(BOT, None, None, None) == 1


async def test_the_wait_that_pinecone_asks_for_is_passed_on(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    pinecone.fault("query", "429", retry_after=11)
    with pytest.raises(UpstreamError) as raised:
        await CALLS["query"](store)
    assert raised.value.retry_after == 11


async def test_nobody_there_is_unreachable(vendor_settings: Callable[..., Settings]) -> None:
    store = PineconeStore(vendor_settings(pinecone_host="http://127.0.0.1:9"))
    with pytest.raises(UpstreamError) as raised:
        await store.check()
    assert raised.value.kind == "unreachable"


async def test_a_wrong_key_is_told(vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator) -> None:
    store = PineconeStore(vendor_settings(pinecone_api_key="not-the-key"))
    with pytest.raises(UpstreamError) as raised:
        await store.check()
    await store.aclose()
    assert raised.value.kind == "unauthorised"


async def test_a_vector_of_another_dimension_is_rejected(store: PineconeStore) -> None:
    with pytest.raises(UpstreamError) as raised:
        await store.search(BOT, vector("text", 32), 3)
    assert raised.value.kind == "rejected"


@pytest.mark.parametrize("route", ["query", "list"])
async def test_ids_that_are_not_ours_are_garbage(store: PineconeStore, pinecone: PineconeEmulator, route: str) -> None:
    pinecone.fault(route, "foreign_ids")
    with pytest.raises(UpstreamError) as raised:
        await CALLS[route](store)
    assert raised.value.kind == "garbage"


async def test_a_listing_out_of_order_is_garbage(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [chunk(2)])
    pinecone.fault("list", "unordered")
    with pytest.raises(UpstreamError) as raised:
        await store.listing(BOT, None, 10)
    assert raised.value.kind == "garbage"


async def test_a_redirect_is_not_followed_with_the_key(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    pinecone.fault("query", "redirect")
    with pytest.raises(UpstreamError):
        await CALLS["query"](store)
    assert pinecone.journal.count("/__elsewhere") == 0


async def test_a_caller_that_leaves_does_not_wait_for_the_thread(
    store: PineconeStore, pinecone: PineconeEmulator
) -> None:
    pinecone.fault("query", "hang")
    task = asyncio.ensure_future(CALLS["query"](store))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    task.cancel()
    await asyncio.wait({task})
    assert time.monotonic() - started < 0.1


@pytest.mark.parametrize("kind", ["hang", "slowhdr", "dripbody"])
async def test_no_connection_and_no_thread_outlives_its_call(
    store: PineconeStore, pinecone: PineconeEmulator, kind: str
) -> None:
    pinecone.fault("query", kind)
    tasks = [asyncio.ensure_future(CALLS["query"](store)) for _ in range(20)]
    await asyncio.sleep(0.2)
    for task in tasks[:10]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.2)
    assert pinecone.journal.open_streams == 0


async def test_threads_are_free_again_after_hanging_calls(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    pinecone.fault("query", "dripbody")
    results = await asyncio.gather(*(CALLS["query"](store) for _ in range(40)), return_exceptions=True)
    assert {getattr(result, "kind", None) for result in results} == {"timeout"}
    pinecone.script.clear()
    await asyncio.sleep(0.6)
    assert [UUID(bytes=hit.chunk).int for hit in await CALLS["query"](store)] == [1]


@pytest.mark.parametrize("kind", ["echo_key", "401", "notjson", "rst"])
@pytest.mark.parametrize("route", ["query", "upsert", "stats"])
async def test_the_key_is_in_no_error_and_in_no_log(
    store: PineconeStore,
    pinecone: PineconeEmulator,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    kind: str,
) -> None:
    monkeypatch.setenv("PINECONE_DEBUG_CURL", "1")
    caplog.set_level(0)
    pinecone.fault(route, kind)
    with pytest.raises(UpstreamError) as raised:
        await CALLS[route](store)
    shown = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(store) + repr(vars(store))
    assert VENDOR_KEY not in shown + capfd.readouterr().out


async def test_few_threads_are_used(vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator) -> None:
    store = PineconeStore(vendor_settings(vector_seconds=20.0))
    before = threading.active_count()
    await asyncio.gather(*(CALLS["query"](store) for _ in range(100)))
    await store.aclose()
    assert threading.active_count() - before <= 32
