"""A large bot's vectors get a graph, and a search over very many another one: what they answer is what the exact search
answers, and never too few."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from agent_service.pipeline.lexical import indexed
from agent_service.pipeline.tending import tended
from agent_service.ports import LexicalChunk, StoredChunk
from agent_service.providers import graphs, pgvector
from agent_service.providers.pgvector import PgvectorStore
from agent_service.providers.postings import PostingIndex
from agent_service.settings import Settings

DIMENSION = 64
LARGE = 400
"""Passages; in these tests enough for a graph."""
SMALL = 30


@pytest.fixture
def settings(agent_settings: Settings, fresh_database: str) -> Settings:
    """`graph_passages` counts vectors of 256 numbers: LARGE of these are as many numbers as LARGE / 4 of those."""
    few = {"graph_passages": LARGE // 4, "graph_passages_all": LARGE // 4, "graph_memory_mb": 64}
    return agent_settings.model_copy(update={"agent_database_url": SecretStr(fresh_database), **few})


@pytest.fixture
async def store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PgvectorStore]:
    monkeypatch.setattr(graphs, "KNOWN_SECONDS", 0.0)
    monkeypatch.setattr(pgvector, "KNOWN_SECONDS", 0.0)
    opened = PgvectorStore(settings)
    yield opened
    await opened.aclose()


def vector(chance: random.Random) -> list[float]:
    """Of unit length, near one of five directions, as texts about a few subjects are."""
    subject = random.Random(chance.randrange(5))
    numbers = [subject.gauss(0, 1) + chance.gauss(0, 0.5) for _ in range(DIMENSION)]
    length = sum(number**2 for number in numbers) ** 0.5
    return [number / length for number in numbers]


async def fill(store: PgvectorStore, namespace: str, count: int, seed: int = 1, documents: int = 10) -> None:
    chance = random.Random(seed)
    rows = [
        StoredChunk(UUID(int=chance.getrandbits(128)), UUID(int=number % documents), UUID(int=1), vector(chance))
        for number in range(count)
    ]
    await store.upsert(namespace, rows)
    words = [LexicalChunk(row.id, row.document, row.version, indexed("oil")) for row in rows]
    await PostingIndex(store.database).upsert(namespace, words)


async def exactly(store: PgvectorStore, namespaces: Sequence[str], asked: list[float], limit: int) -> list[UUID]:
    """Without any index over the vectors."""
    async with store.database.connection() as connection, connection.transaction():
        await connection.execute("set local enable_indexscan = off")
        statement = """
            select chunk from vectors.vector join vectors.lexicon on lexicon.id = vector.lexicon
            where namespace = any(%s) order by embedding <#> %s::halfvec, chunk limit %s
        """
        rows = await (await connection.execute(statement, (list(namespaces), str(asked), limit))).fetchall()
    return [chunk for (chunk,) in rows]


def names(url: str) -> dict[str, bool]:
    with psycopg.connect(url) as connection:
        statement = """
            select relname, indisvalid from pg_index join pg_class on pg_class.oid = indexrelid
            where starts_with(relname, 'graph_')
        """
        return dict(connection.execute(statement).fetchall())


async def test_a_large_bot_gets_a_graph_that_finds_what_exact_search_finds(
    store: PgvectorStore, fresh_database: str
) -> None:
    await fill(store, "large", LARGE)
    await fill(store, "small", SMALL, seed=2)
    asked = vector(random.Random(99))
    before = await store.search("large", asked, 300)
    assert [name.split()[0] for name in await store.maintain()] == ["built", "built"]
    after = await store.search(
        "large", asked, 300
    )  # more than are looked for at once: the further ones come in no order
    assert len({hit.chunk for hit in after} & {hit.chunk for hit in before}) >= 290
    assert [hit.score for hit in after] == sorted((hit.score for hit in after), reverse=True)
    assert {hit.chunk: hit.score for hit in after}.items() >= {
        hit.chunk: hit.score for hit in before if hit in after
    }.items()
    assert names(fresh_database) == {"graph_1_64": True, "graph_all_64": True}


async def test_the_plan_of_a_large_bot_takes_its_graph_and_that_of_a_small_one_none(store: PgvectorStore) -> None:
    await fill(store, "large", LARGE)
    await fill(store, "small", SMALL, seed=2)
    await store.maintain()
    graph = await store.graphs.of("large", DIMENSION)
    assert graph is not None
    assert await store.graphs.of("small", DIMENSION) is None
    parameters = {"vector": str([0.5] * DIMENSION), "limit": 100, "dimension": DIMENSION, "namespace": "small"}
    async with store.database.connection() as connection:
        plans = []
        for statement in (pgvector.by_graph(graph), pgvector.SEARCH):
            statement = statement.replace("%(vector)s", "%(vector)s::halfvec")
            rows = await (await connection.execute(f"explain {statement}".encode(), parameters)).fetchall()
            plans.append("\n".join(row[0] for row in rows))
    assert f"Index Scan using {graph.name}" in plans[0]
    assert "graph_" not in plans[1]


async def test_a_small_bot_beside_large_ones_gets_all_its_rows(store: PgvectorStore) -> None:
    """One graph over all with the bot's filter would give it hardly any."""
    await fill(store, "large", LARGE)
    await fill(store, "small", SMALL, seed=2)
    await store.maintain()
    asked = vector(random.Random(3))
    assert [UUID(bytes=hit.chunk) for hit in await store.search("small", asked, 20)] == await exactly(
        store, ["small"], asked, 20
    )


async def test_many_small_bots_together_are_searched_by_the_graph_over_all(store: PgvectorStore) -> None:
    for number in range(20):
        await fill(store, f"bot-{number}", LARGE // 20 - 1, seed=number)
    everybody = [f"bot-{number}" for number in range(20)]
    assert await store.maintain() == []  # together still too few
    await fill(store, "bot-more", SMALL, seed=77)
    assert await store.maintain() == ["built graph_all_64"]
    asked = vector(random.Random(4))
    found = [UUID(bytes=hit.chunk) for hit in await store.search_many(everybody, asked, 100)]
    assert len(set(found) & set(await exactly(store, everybody, asked, 100))) >= 97
    some = everybody[:2]
    assert [UUID(bytes=hit.chunk) for hit in await store.search_many(some, asked, 38)] == await exactly(
        store, some, asked, 38
    )
    assert await store.search_many(["nobody"], asked, 10) == []


@pytest.fixture
def short_sighted(settings: Settings) -> None:
    """A graph is always taken, and gives no more than what it looks at first."""
    url = settings.agent_database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("hnsw.max_scan_tuples = 1", "enable_sort = off", "enable_bitmapscan = off"):
            connection.execute(f'alter database "{connection.info.dbname}" set {setting}'.encode())


async def test_a_search_for_more_than_the_graph_gives_gets_them_all(short_sighted: None, store: PgvectorStore) -> None:
    await fill(store, "large", LARGE)
    await store.maintain()
    graph, asked = await store.graphs.of("large", DIMENSION), vector(random.Random(6))
    assert graph is not None
    assert len(await store._found(pgvector.by_graph(graph), pgvector._asked(asked, 300))) < 300
    found = [UUID(bytes=hit.chunk) for hit in await store.search("large", asked, 300)]
    assert found == await exactly(store, ["large"], asked, 300)


async def test_in_a_graph_of_very_many_more_candidates_are_kept(
    short_sighted: None, store: PgvectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "CANDIDATES_OF_LARGE", ((LARGE, 300),))
    await fill(store, "large", LARGE)
    await store.maintain()
    graph, asked = await store.graphs.of("large", DIMENSION), pgvector._asked(vector(random.Random(6)), 300)
    assert graph is not None
    assert (graph.vectors, graph.candidates) == (LARGE, 300)
    assert len(await store._near(graph, asked)) == 300
    assert len(await store._found(pgvector.by_graph(graph), asked)) < 300  # for this one search only


async def test_a_search_over_few_of_many_gives_all_its_rows_though_the_graph_gives_too_few(
    short_sighted: None, store: PgvectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, "large", LARGE)
    await fill(store, "far", SMALL, seed=5)
    await store.maintain()
    monkeypatch.setattr(store.graphs, "worth", lambda *_: True)
    asked = vector(random.Random(6))
    assert [UUID(bytes=hit.chunk) for hit in await store.search_many(["far"], asked, SMALL)] == await exactly(
        store, ["far"], asked, SMALL
    )


async def test_a_graph_is_used_as_soon_as_it_is_built(store: PgvectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "KNOWN_SECONDS", 3600.0)
    await fill(store, "large", LARGE)
    assert await store.graphs.of("large", DIMENSION) is None
    await store.maintain()
    assert await store.graphs.of("large", DIMENSION) is not None


async def test_what_many_namespaces_hold_is_looked_up_again_after_a_while(store: PgvectorStore) -> None:
    asked = vector(random.Random(7))
    assert await store.search_many(["new"], asked, 5) == []
    await fill(store, "new", 5)
    assert len(await store.search_many(["new"], asked, 5)) == 5


async def test_chosen_documents_of_a_large_bot_are_searched_exactly(store: PgvectorStore) -> None:
    await fill(store, "large", LARGE, documents=40)
    await store.maintain()
    chosen = [UUID(int=7), UUID(int=8)]
    found = await store.search("large", vector(random.Random(8)), 15, chosen)
    assert len(found) == 15
    assert {UUID(bytes=hit.document) for hit in found} <= set(chosen)
    assert {hit.chunk for hit in await store.search_many(["large"], vector(random.Random(8)), 15, chosen)} == {
        hit.chunk for hit in found
    }


async def test_what_was_left_half_built_is_built_anew(store: PgvectorStore, fresh_database: str) -> None:
    await fill(store, "large", LARGE)
    await store.maintain()
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("update pg_index set indisvalid = false where indexrelid = 'vectors.graph_1_64'::regclass")
    assert await store.graphs.of("large", DIMENSION) is None
    assert await store.maintain() == ["dropped graph_1_64", "built graph_1_64"]
    assert names(fresh_database)["graph_1_64"]


async def test_a_bot_that_shrank_loses_its_graph_and_one_that_shrank_a_little_keeps_it(
    store: PgvectorStore, fresh_database: str
) -> None:
    await fill(store, "large", LARGE, documents=4)
    await store.maintain()
    index = PostingIndex(store.database)
    await index.delete("large", UUID(int=0), None, None)
    assert await store.maintain() == []
    await index.delete("large", UUID(int=1), None, None)
    await index.delete("large", UUID(int=2), None, None)
    assert sorted(await store.maintain()) == ["dropped graph_1_64", "dropped graph_all_64"]
    assert names(fresh_database) == {}


async def test_one_process_builds_at_a_time(store: PgvectorStore, fresh_database: str) -> None:
    await fill(store, "large", LARGE)
    with psycopg.connect(fresh_database, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (graphs.GRAPH_LOCK,))
        assert await store.maintain() == []
    assert len(await store.maintain()) == 2


async def test_what_is_written_while_a_graph_is_there_is_found_and_what_is_deleted_is_not(store: PgvectorStore) -> None:
    await fill(store, "large", LARGE)
    await store.maintain()
    asked = vector(random.Random(11))
    late = StoredChunk(uuid4(), UUID(int=999), UUID(int=1), asked)
    await store.upsert("large", [late])
    assert (await store.search("large", asked, 50))[0].chunk == late.id.bytes
    await store.delete("large", UUID(int=999), None, None)
    found = [UUID(bytes=hit.chunk) for hit in await store.search("large", asked, 50)]
    assert len(found) == 50
    assert late.id not in found


async def test_the_agent_tends_its_store_by_itself(store: PgvectorStore, fresh_database: str) -> None:
    await fill(store, "large", LARGE)
    async with tended(store, 0.05):
        for _ in range(200):
            if len(names(fresh_database)) == 2 and all(names(fresh_database).values()):
                break
            await asyncio.sleep(0.05)
    assert names(fresh_database) == {"graph_1_64": True, "graph_all_64": True}
