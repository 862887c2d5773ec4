"""Pinecone shows a write some time after it took it: what the adapter says in the meantime is never a stale proof."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest

from agent_service.errors import UpstreamError
from agent_service.providers import pinecone as adapter
from agent_service.providers.pinecone import PineconeStore
from agent_service.settings import Settings
from tests.agent_service.test_pinecone_store import BOT, chunk, vector
from tests.emulators.pinecone import PineconeEmulator

DOCUMENT = UUID(int=1)


@pytest.fixture
async def store(vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator) -> AsyncIterator[PineconeStore]:
    store = PineconeStore(vendor_settings(vector_seconds=1.0))
    yield store
    await store.aclose()


async def test_a_count_waits_until_a_deletion_is_seen(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [chunk(1, document=1), chunk(2, document=2)])
    pinecone.lag = 0.3
    await store.delete(BOT, DOCUMENT, None, None)
    assert await store.count(BOT, DOCUMENT, None, None) == 0
    assert await store.count(BOT, None, None, None) == 1


async def test_a_count_waits_until_a_write_is_seen(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    pinecone.lag = 0.3
    await store.upsert(BOT, [chunk(number) for number in range(120)])
    assert await store.count(BOT, None, None, None) == 120


async def test_a_count_that_cannot_be_proven_is_an_error(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [chunk(1), chunk(2)])
    pinecone.lag = 60
    await store.delete(BOT, DOCUMENT, None, None)
    with pytest.raises(UpstreamError) as raised:
        await store.count(BOT, DOCUMENT, None, None)
    assert (raised.value.kind, raised.value.retryable) == ("timeout", True)


async def test_a_deletion_takes_also_what_cannot_be_seen_yet(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    pinecone.lag = 0.2
    await store.upsert(BOT, [chunk(1)])
    await store.delete(BOT, DOCUMENT, None, None)
    assert await store.count(BOT, DOCUMENT, None, None) == 0
    await asyncio.sleep(0.3)
    assert await store.count(BOT, None, None, None) == 0


async def test_a_namespace_that_is_gone_is_proven_empty(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [chunk(1)])
    pinecone.lag = 0.2
    await store.delete(BOT, None, None, None)
    assert await store.count(BOT, None, None, None) == 0
    assert pinecone.journal.count("query") > 2


async def test_a_namespace_that_is_filled_again_counts_from_the_beginning(store: PineconeStore) -> None:
    for number in range(5):
        await store.upsert(BOT, [chunk(number)])
    await store.delete(BOT, None, None, None)
    assert await store.count(BOT, None, None, None) == 0
    await store.upsert(BOT, [chunk(9)])
    assert await store.count(BOT, None, None, None) == 1


async def test_a_listing_begins_after_the_last_write(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    pinecone.lag = 0.2
    await store.upsert(BOT, [chunk(1), chunk(2)])
    assert [one.chunk.int for one in await store.listing(BOT, None, 10)] == [1, 2]


async def test_a_search_does_not_wait(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    pinecone.lag = 60
    await store.upsert(BOT, [chunk(1)])
    assert await store.search(BOT, vector("text 1"), 1) == []
    assert await store.present(BOT, [UUID(int=1)]) == set()


async def test_an_index_without_sequence_numbers_is_taken_at_its_word(
    store: PineconeStore, pinecone: PineconeEmulator
) -> None:
    pinecone.fault("*", "no_lsn")
    await store.upsert(BOT, [chunk(1)])
    pinecone.lag = 60
    await store.delete(BOT, DOCUMENT, None, None)
    assert await store.count(BOT, DOCUMENT, None, None) == 1


async def test_what_is_remembered_stays_small(store: PineconeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "REMEMBERED", 3)
    for number in range(5):
        await store.upsert(f"bot-{number}", [chunk(number)])
    assert list(store._written) == ["bot-2", "bot-3", "bot-4"]
