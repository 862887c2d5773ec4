import asyncio
import time
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
from agent_service.providers.postgres import MIGRATION_TABLE, MIGRATIONS
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
    assert [UUID(bytes=one) for one in hit[:3]] == [first.id, second.document, second.version]
    assert hit.score == 1.0


async def test_equal_scores_come_in_a_fixed_order(store: PgvectorStore, namespace: str) -> None:
    await store.upsert(namespace, [chunk(1.0, 0.0) for _ in range(20)])
    found = [UUID(bytes=hit.chunk) for hit in await store.search(namespace, [1.0, 0.0], 20)]
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
        assert connection.execute("select number from vectors.migration").fetchall() == [(1,), (2,), (3,), (4,), (5,)]


async def test_a_restart_of_the_database_is_survived(
    store: PgvectorStore, namespace: str, agent_database_url: str
) -> None:
    await store.upsert(namespace, [chunk(1.0, 0.0)])
    with psycopg.connect(agent_database_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        others = "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        while connection.execute(others).fetchone() is not None:
            time.sleep(0.01)  # noqa: ASYNC251 - nothing else is going on
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


async def test_chosen_documents_give_all_rows_that_they_have(store: PgvectorStore, namespace: str) -> None:
    near, far = chunk(1.0, 0.0), [chunk(0.0, 1.0) for _ in range(5)]
    await store.upsert(namespace, [near, *far])
    documents = [one.document for one in far[:3]]
    found = await store.search(namespace, [1.0, 0.0], 10, documents)
    assert {UUID(bytes=hit.document) for hit in found} == set(documents)
    assert await store.search(namespace, [1.0, 0.0], 10, []) == []


async def test_many_namespaces_are_searched_as_one(store: PgvectorStore, namespace: str) -> None:
    names = [f"{namespace}-{number}" for number in range(3)]
    chunks = [chunk(1.0, number / 10) for number in range(3)]
    for name, one in zip(names, chunks, strict=True):
        await store.upsert(name, [one])
    ids = [one.id for one in chunks]
    assert [UUID(bytes=hit.chunk) for hit in await store.search_many([*names, "nobody"], [0.0, 1.0], 10)] == ids[::-1]
    assert [UUID(bytes=hit.chunk) for hit in await store.search_many(names[:2], [0.0, 1.0], 1)] == [ids[1]]
    chosen = await store.search_many(names, [0.0, 1.0], 10, [chunks[0].document])
    assert [UUID(bytes=hit.chunk) for hit in chosen] == [ids[0]]


async def test_vectors_that_were_there_before_the_namespaces_had_numbers_stay(
    agent_settings: Settings, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("create schema vectors")
        connection.execute(MIGRATION_TABLE)
        for number in (1, 2, 3):
            connection.execute(MIGRATIONS[number].encode())
            connection.execute("insert into vectors.migration (number) values (%s)", (number,))
        row = "insert into vectors.vector values (%s, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '[1,0]')"
        for name in ("one", "two", "one"):
            connection.execute(row, (name,))
    store = PgvectorStore(agent_settings.model_copy(update={"agent_database_url": SecretStr(fresh_database)}))
    counts = [await store.count(name, None, None, None) for name in ("one", "two")]
    found = [len(await store.search(name, [1.0, 0.0], 5)) for name in ("one", "two")]
    assert (counts, found, sorted(await store.namespaces(""))) == ([2, 1], [2, 1], ["one", "two"])
    await store.aclose()
