"""A search over nearly all namespaces there are goes by the few others: it finds just what it finds by the list."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from agent_service.ports import StoredChunk
from agent_service.providers import pgvector
from agent_service.providers.pgvector import PgvectorStore
from agent_service.settings import Settings


@pytest.fixture
async def store(agent_settings: Settings, fresh_database: str) -> AsyncIterator[PgvectorStore]:
    store = PgvectorStore(agent_settings.model_copy(update={"agent_database_url": SecretStr(fresh_database)}))
    yield store
    await store.aclose()


async def filled(store: PgvectorStore, count: int) -> list[tuple[str, StoredChunk]]:
    """One vector in each of so many namespaces, the nearer to (1, 0) the later."""
    found = []
    for n in range(count):
        chunk = StoredChunk(uuid4(), uuid4(), uuid4(), [float(n), 1.0])
        await store.upsert(f"bot-{n}", [chunk])
        found.append((f"bot-{n}", chunk))
    return found


async def found_in(store: PgvectorStore, chosen: Sequence[tuple[str, StoredChunk]]) -> list[object]:
    return [UUID(bytes=hit.chunk) for hit in await store.search_many([name for name, _ in chosen], [1.0, 0.0], 100)]


@pytest.mark.parametrize("large", [True, False])
async def test_only_what_was_named_is_found(store: PgvectorStore, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    monkeypatch.setattr(pgvector, "NEARLY_ALL_FROM", 2 if large else 1000)
    everything = await filled(store, 12)
    chosen = [*everything[2:5], *everything[6:11]]  # without the first, the last, and one between
    assert await found_in(store, chosen) == [chunk.id for _, chunk in reversed(chosen)]


async def test_what_was_made_since_is_not_found(store: PgvectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgvector, "NEARLY_ALL_FROM", 2)
    chosen = await filled(store, 3)
    before = await found_in(store, chosen)
    await store.upsert("somebody-elses", [StoredChunk(uuid4(), uuid4(), uuid4(), [1.0, 0.0])])
    assert await found_in(store, chosen) == before
