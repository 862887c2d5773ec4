import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from agent_service.errors import Misconfigured, UpstreamError
from agent_service.ports import StoredChunk
from agent_service.providers.pgvector import PgvectorStore
from agent_service.settings import Settings


def chunk(*vector: float, chunk_id: UUID | None = None) -> StoredChunk:
    return StoredChunk(chunk_id or uuid4(), uuid4(), uuid4(), list(vector))


@pytest.fixture
async def store(agent_settings: Settings) -> AsyncIterator[PgvectorStore]:
    opened = PgvectorStore(agent_settings)
    yield opened
    await opened.aclose()


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid4()}"


async def test_storing_again_replaces(store: PgvectorStore, namespace: str) -> None:
    first = chunk(1.0, 0.0)
    await store.upsert(namespace, [first])
    second = chunk(0.0, 1.0, chunk_id=first.id)
    await store.upsert(namespace, [second])
    [hit] = await store.search(namespace, [0.0, 1.0], 10)
    assert (hit.chunk, hit.document, hit.version, hit.score) == (first.id, second.document, second.version, 1.0)


async def test_equal_scores_come_in_a_fixed_order(store: PgvectorStore, namespace: str) -> None:
    await store.upsert(namespace, [chunk(1.0, 0.0) for _ in range(20)])
    found = [hit.chunk for hit in await store.search(namespace, [1.0, 0.0], 20)]
    assert found == sorted(found)


async def test_an_upsert_is_whole_or_not_at_all(store: PgvectorStore, namespace: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        await store.upsert(namespace, [chunk(1.0, 0.0), chunk(float("nan"), 0.0)])
    assert caught.value.kind == "rejected"
    assert await store.count(namespace, None, None, None) == 0


async def test_vectors_of_the_largest_models_fit_in_line(store: PgvectorStore, namespace: str) -> None:
    await store.upsert(namespace, [chunk(*[0.01] * 3072)])
    assert len(await store.search(namespace, [0.01] * 3072, 1)) == 1


async def test_vectors_are_stored_in_line(store: PgvectorStore, agent_database_url: str) -> None:
    await store.check()
    with psycopg.connect(agent_database_url) as connection:
        row = connection.execute(
            "select attstorage from pg_attribute where attrelid = 'vectors.vector'::regclass and attname = 'embedding'"
        ).fetchone()
    assert row == ("p",)


async def test_many_start_at_once_on_an_empty_database(agent_settings: Settings, fresh_database: str) -> None:
    settings = agent_settings.model_copy(update={"agent_database_url": SecretStr(fresh_database)})
    stores = [PgvectorStore(settings) for _ in range(6)]
    await asyncio.gather(*(store.check() for store in stores))
    await asyncio.gather(*(store.aclose() for store in stores))
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("select number from vectors.migration").fetchall() == [(1,), (2,), (3,)]


async def test_a_restart_of_the_database_is_survived(
    store: PgvectorStore, namespace: str, agent_database_url: str
) -> None:
    await store.upsert(namespace, [chunk(1.0, 0.0)])
    with psycopg.connect(agent_database_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert await store.count(namespace, None, None, None) == 1


async def cut_off(store: PgvectorStore, url: str) -> None:
    """The server ends the connection while a call holds it."""
    async with store.database.connection() as connection:
        with psycopg.connect(url, autocommit=True) as killer:
            killer.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))
        await connection.execute("select 1")


async def test_a_connection_lost_in_the_middle_is_an_unreachable_store(
    store: PgvectorStore, agent_database_url: str
) -> None:
    with pytest.raises(UpstreamError) as caught:
        await cut_off(store, agent_database_url)
    assert (caught.value.kind, caught.value.retryable) == ("unreachable", True)


async def test_a_table_that_was_dropped_is_an_unavailable_store(agent_settings: Settings, fresh_database: str) -> None:
    store = PgvectorStore(agent_settings.model_copy(update={"agent_database_url": SecretStr(fresh_database)}))
    await store.check()
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("drop schema vectors cascade")
    with pytest.raises(UpstreamError) as caught:
        await store.check()
    await store.aclose()
    assert caught.value.kind == "unavailable"


async def test_a_user_who_may_not_create_the_extension_is_told_what_to_do(
    agent_settings: Settings, fresh_database: str
) -> None:
    role = f"plain_{uuid4().hex[:8]}"
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        connection.execute(
            sql.SQL("grant create on database {} to {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(role)
            )
        )
    url = SecretStr(make_conninfo(fresh_database, user=role))
    store = PgvectorStore(agent_settings.model_copy(update={"agent_database_url": url}))
    with pytest.raises(Misconfigured, match="CREATE EXTENSION vector"):
        await store.check()
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("create extension vector")
    await store.check()
    await store.aclose()
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(role)))


async def test_more_calls_than_connections_wait_their_turn(store: PgvectorStore, namespace: str) -> None:
    await store.upsert(namespace, [chunk(1.0, 0.0)])
    counts = await asyncio.gather(*(store.count(namespace, None, None, None) for _ in range(50)))
    assert counts == [1] * 50
