"""The lexical index in PostgreSQL: what it counts equals a recount, whatever happened before."""

import asyncio
import math
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from agent_service.errors import UpstreamError
from agent_service.pipeline.lexical import asked, indexed
from agent_service.ports import Indexed, LexicalChunk, Ranked
from agent_service.providers import postings, ranking
from agent_service.providers.postgres import Database
from agent_service.providers.postings import PostingIndex
from agent_service.providers.ranking import GROUP_BITS, K1, B
from agent_service.settings import Settings

WORDS = ["oil", "price", "embargo", "barrel", "market", "war", "winter", "summer", "harvest", "grain", "ship", "port"]


@pytest.fixture
async def index(agent_settings: Settings) -> AsyncIterator[PostingIndex]:
    opened = PostingIndex(Database(agent_settings, postings.NAME, vectors=False))
    yield opened
    await opened.aclose()


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid4()}"


def chunk(text: str, number: int | None = None, document: int = 1, version: int = 1) -> LexicalChunk:
    chunk_id = uuid4() if number is None else UUID(int=number)
    return LexicalChunk(chunk_id, UUID(int=document), UUID(int=version), indexed(text))


def sentence(chance: random.Random) -> str:
    if chance.random() < 0.2:
        return "Der " + " und die ".join(chance.choices(WORDS, k=4))
    return "The " + " and the ".join(chance.choices(WORDS, k=chance.randint(1, 8)))


async def search(index: PostingIndex, namespace: str, question: str, limit: int = 100) -> Ranked:
    lexicon = await index.lexicon(namespace)
    if lexicon is None:
        return Ranked([], 0.0)
    return await index.search(lexicon, asked(question, lexicon.languages), limit)


Kept = dict[UUID, LexicalChunk]


def recounted(kept: Kept) -> dict[str, Any]:
    languages: dict[str, tuple[int, int]] = {}
    for one in kept.values():
        n, words = languages.get(one.indexed.language, (0, 0))
        languages[one.indexed.language] = (n + 1, words + one.indexed.length)
    return {
        "languages": languages,
        "postings": sorted(
            (one.id, term, count, one.indexed.length)
            for one in kept.values()
            for term, count in one.indexed.counts.items()
        ),
        "chunks": sorted((one.id, one.document, one.version) for one in kept.values()),
    }


def stored(url: str, namespace: str) -> dict[str, Any]:
    with psycopg.connect(url) as connection:

        def rows(statement: str) -> list[Any]:
            of = "(select id from vectors.lexicon where namespace = %s)"
            return connection.execute(statement.format(of=of).encode(), (namespace,)).fetchall()

        stats = rows("select language, n, sum_len from vectors.namespace_stat where lexicon = {of} and n > 0")
        return {
            "languages": {language: (n, words) for language, n, words in stats},
            "postings": sorted(
                rows(
                    "select chunk, term, tf, p.len from vectors.posting p"
                    " left join vectors.lexical_chunk c using (lexicon, number) where p.lexicon = {of}"
                )
            ),
            "chunks": sorted(rows("select chunk, document, version from vectors.lexical_chunk where lexicon = {of}")),
        }


@pytest.mark.parametrize("seed", range(6))
async def test_the_counts_equal_a_recount_after_any_sequence(
    index: PostingIndex, namespace: str, agent_database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "DELETED_AT_ONCE", 3)
    chance = random.Random(seed)
    kept: Kept = {}
    for _ in range(25):
        if chance.random() < 0.65:
            few = [
                chunk(sentence(chance), chance.randrange(1, 30), chance.randint(1, 3), chance.randint(1, 3))
                for _ in range(chance.randint(1, 6))
            ]
            await index.upsert(namespace, few)
            kept |= {one.id: one for one in few}
        else:
            document, version, keep = (chance.choice([None, UUID(int=chance.randint(1, 3))]) for _ in range(3))
            gone = {
                one.id
                for one in kept.values()
                if document in (None, one.document) and version in (None, one.version) and keep != one.version
            }
            assert await index.count(namespace, document, version, keep) == len(gone)
            assert await index.delete(namespace, document, version, keep) == len(gone)
            assert await index.count(namespace, document, version, keep) == 0
            kept = {known: one for known, one in kept.items() if known not in gone}
    assert stored(agent_database_url, namespace) == recounted(kept)


async def test_storing_twice_changes_nothing(index: PostingIndex, namespace: str, agent_database_url: str) -> None:
    few = [chunk("The oil price rose and the oil market fell.", 1), chunk("Grain", 2)]
    await index.upsert(namespace, few)
    before = stored(agent_database_url, namespace)
    await index.upsert(namespace, few)
    await index.upsert(namespace, [*few, few[0]])
    assert stored(agent_database_url, namespace) == before == recounted({one.id: one for one in few})


async def test_stores_and_deletions_at_once_lose_no_count(
    index: PostingIndex, namespace: str, agent_database_url: str
) -> None:
    chance = random.Random(7)
    documents = {n: [chunk(sentence(chance), n * 100 + i, n) for i in range(8)] for n in range(1, 13)}
    await asyncio.gather(*(index.upsert(namespace, few) for n, few in documents.items() if n <= 6))
    await asyncio.gather(
        *(index.upsert(namespace, few) for n, few in documents.items() if n > 3),
        *(index.delete(namespace, UUID(int=n), None, None) for n in (1, 2, 3)),
    )
    kept = {one.id: one for n, few in documents.items() if n > 3 for one in few}
    assert stored(agent_database_url, namespace) == recounted(kept)


async def test_a_store_that_fails_leaves_nothing(index: PostingIndex, namespace: str, agent_database_url: str) -> None:
    await index.upsert(namespace, [chunk("The oil price", 1)])
    before = stored(agent_database_url, namespace)
    impossible = LexicalChunk(uuid4(), uuid4(), uuid4(), Indexed("en", -100, {1: 1}))
    with pytest.raises(UpstreamError):
        await index.upsert(namespace, [chunk("Grain", 2), impossible])
    assert stored(agent_database_url, namespace) == before


async def test_scores_are_bm25_as_in_the_formula(index: PostingIndex, namespace: str) -> None:
    texts = {1: "The oil price", 2: "The oil and oil market of the winter harvest", 3: "Grain ships"}
    await index.upsert(namespace, [chunk(text, number) for number, text in texts.items()])
    ranked = await search(index, namespace, "oil")
    mean, n, df = (2 + 5 + 2) / 3, 3, 2
    weight = math.log(1 + (n - df + 0.5) / (df + 0.5))

    def score(count: int, length: int) -> float:
        return weight * count / (count + K1 * (1 - B + B * length / mean))

    found = {UUID(bytes=hit.chunk).int: pytest.approx(hit.score) for hit in ranked.hits}
    assert found == {1: score(1, 2), 2: score(2, 5)}
    assert ranked.hits == sorted(ranked.hits, key=lambda hit: -hit.score)


async def test_a_term_of_most_chunks_is_looked_for_only_where_there_is_no_rarer_one(
    index: PostingIndex, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = dict.fromkeys(range(1, 12), "The oil price") | {12: "The oil embargo", 13: "Grain"}
    await index.upsert(namespace, [chunk(text, number) for number, text in texts.items()])
    every = [(await search(index, namespace, question)).hits for question in ("oil embargo", "oil", "oil zebra")]
    assert [len(hits) for hits in every] == [12, 12, 12]
    monkeypatch.setattr(ranking, "COMMON_FROM", 13)
    for _ in range(2):  # the second time it is known which terms are common
        ranked = await search(index, namespace, "oil embargo")
        assert [UUID(bytes=hit.chunk).int for hit in ranked.hits] == [12]
        assert every[0][0].score / 2 < ranked.hits[0].score < every[0][0].score
        assert [(await search(index, namespace, question)).hits for question in ("oil", "oil zebra")] == every[1:]


@pytest.mark.parametrize("seconds", [60.0, 0.2])
async def test_how_frequent_a_term_is_is_counted_again_after_a_while(
    index: PostingIndex, namespace: str, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(ranking, "COMMON_FROM", 3)
    monkeypatch.setattr(ranking, "FREQUENT", 2)
    monkeypatch.setattr(postings, "FREQUENT_SECONDS", seconds)
    texts = ["The oil price", "The oil ship", "Grain", "Winter harvest"]
    await index.upsert(namespace, [chunk(text, number) for number, text in enumerate(texts, 1)])
    assert len((await search(index, namespace, "oil price")).hits) == 2
    await index.upsert(namespace, [chunk("The oil market", number) for number in range(5, 15)])
    await asyncio.sleep(0.25)
    found = [UUID(bytes=hit.chunk).int for hit in (await search(index, namespace, "oil price")).hits]
    # By then oil is in most chunks, and is not looked for.
    assert found == [1] if seconds < 1 else len(found) == 12


async def test_what_was_frequent_before_a_deletion_is_counted_again(
    index: PostingIndex, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "FREQUENT", 2)
    await index.upsert(namespace, [chunk("Oil", number) for number in range(1, 12)])
    await index.upsert(namespace, [chunk("The oil ship", 12, document=2), chunk("Grain", 13, document=2)])
    await search(index, namespace, "oil")
    await index.delete(namespace, UUID(int=1), None, None)
    kept = [(hit.chunk, hit.score) for hit in (await search(index, namespace, "oil")).hits]
    await index.upsert(f"{namespace} 2", [chunk("The oil ship", 12, document=2), chunk("Grain", 13, document=2)])
    assert kept == [(hit.chunk, hit.score) for hit in (await search(index, f"{namespace} 2", "oil")).hits]


async def test_frequent_terms_are_looked_up_for_what_rarer_ones_find(
    index: PostingIndex, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    texts = [" ".join(chance.choices(WORDS, range(1, 13), k=6)) for _ in range(200)]
    await index.upsert(namespace, [chunk(text, number) for number, text in enumerate(texts, 1)])
    question = "oil price port ship of the grain harvest"
    every = await search(index, namespace, question, limit=200)
    scores = {hit.chunk: hit.score for hit in every.hits}
    monkeypatch.setattr(ranking, "READ_ANYWAY", 1)
    for read in (30, 100, 200):
        monkeypatch.setattr(ranking, "READ", read)
        ranked = await search(index, namespace, question, limit=200)
        assert 0 < len(ranked.hits) < len(every.hits)
        assert {hit.chunk: pytest.approx(hit.score) for hit in ranked.hits} == {
            hit.chunk: scores[hit.chunk] for hit in ranked.hits
        }
        assert ranked.confidence == pytest.approx(every.confidence)
        assert ranked.missing == every.missing
    monkeypatch.setattr(ranking, "READ", 30)
    monkeypatch.setattr(ranking, "COMPLETED", 3)
    assert [hit.chunk for hit in (await search(index, namespace, question, limit=3)).hits[:1]] == [every.hits[0].chunk]
    monkeypatch.setattr(ranking, "READ_ANYWAY", 1000)
    assert len((await search(index, namespace, question, limit=200)).hits) == len(every.hits)


async def test_a_rare_word_alone_does_not_keep_a_question_from_its_frequent_ones(
    index: PostingIndex, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "READ", 3)
    monkeypatch.setattr(ranking, "READ_ANYWAY", 2)
    texts = {1: "Embargo"} | dict.fromkeys(range(2, 12), "The oil price") | dict.fromkeys(range(12, 32), "Grain")
    await index.upsert(namespace, [chunk(text, number) for number, text in texts.items()])
    found = [UUID(bytes=hit.chunk).int for hit in (await search(index, namespace, "oil embargo")).hits]
    assert found == list(range(1, 12))
    lexicon = await index.lexicon(namespace)
    assert lexicon is not None
    chosen = await index.search(lexicon, asked("oil embargo grain", lexicon.languages), 100, [UUID(int=1)])
    assert len(chosen.hits) == 31  # of chosen documents all is read


async def test_what_another_process_has_stored_meanwhile_counts_for_no_passage_against_it(
    index: PostingIndex, namespace: str, agent_settings: Settings
) -> None:
    """More passages with a term than there are passages, as far as this process knows."""
    await index.upsert(namespace, [chunk("The oil price", 1)])
    known = await search(index, namespace, "oil")
    other = PostingIndex(Database(agent_settings, postings.NAME, vectors=False))
    await other.upsert(namespace, [chunk("The oil ship", number) for number in range(2, 12)])
    await other.aclose()
    ranked = await search(index, namespace, "oil")
    assert (len(known.hits), len(ranked.hits)) == (1, 11)
    assert all(0 < hit.score < known.hits[0].score for hit in ranked.hits)
    assert 0 < ranked.confidence <= 1


async def test_another_namespace_has_its_own_words_and_counts(
    index: PostingIndex, namespace: str, agent_database_url: str
) -> None:
    mine, other = [chunk("The oil price")], [chunk("The oil harvest"), chunk("Grain")]
    await index.upsert(namespace, mine)
    await index.upsert(f"{namespace}x", other)
    assert [hit.chunk for hit in (await search(index, namespace, "oil harvest grain")).hits] == [mine[0].id.bytes]
    assert await index.delete(f"{namespace}x", None, None, None) == 2
    assert stored(agent_database_url, namespace) == recounted({mine[0].id: mine[0]})
    assert await index.present(f"{namespace}x", [mine[0].id]) == set()


async def test_says_which_terms_no_chunk_has_and_how_many_have_one(index: PostingIndex, namespace: str) -> None:
    few = [chunk("The oil price", 1), chunk("The oil", 2), chunk("Grain", 3, document=3)]
    await index.upsert(namespace, few)
    await index.upsert(f"{namespace} 2", [chunk("wheat wheat", 4)])
    lexicon = await index.lexicon(namespace)
    assert lexicon
    oil, wheat, grain = (next(iter(asked(word, ["en"])[0].forms)) for word in ("oil", "wheat", "grain"))
    assert (await search(index, namespace, "oil or wheat")).missing == {wheat} | asked("oil wheat", ["en"])[2].forms
    assert (await search(index, namespace, "wheat")).missing == {wheat}
    assert await index.chunks_with(lexicon, [oil, wheat, grain]) == {oil: 2, grain: 1}
    assert await index.chunks_with(lexicon, []) == {}
    await index.delete(namespace, UUID(int=3), None, None)
    assert await index.chunks_with(lexicon, [oil, grain]) == {oil: 2}


async def test_an_unknown_namespace_is_empty(index: PostingIndex, namespace: str) -> None:
    assert await index.lexicon(namespace) is None
    assert await index.delete(namespace, None, None, None) == await index.count(namespace, None, None, None) == 0
    assert await index.listing(namespace, None, 10) == []


async def test_gives_no_more_than_the_limit_and_ties_in_a_fixed_order(index: PostingIndex, namespace: str) -> None:
    await index.upsert(namespace, [chunk("The oil price", number) for number in range(1, 30)])
    first, again = [(await search(index, namespace, "oil", limit=5)).hits for _ in range(2)]
    assert len(first) == 5
    assert first == again


async def test_confidence_is_high_for_what_is_there_and_none_for_what_is_not(
    index: PostingIndex, namespace: str
) -> None:
    await index.upsert(namespace, [chunk("The oil price rose in winter.", 1), chunk("The grain harvest failed.", 2)])
    known, half, unknown = [
        (await search(index, namespace, question)).confidence
        for question in ("Did the oil price rise in winter?", "oil giraffe milk", "How do I milk a giraffe?")
    ]
    assert 1 >= known > 0.2 > half > 0 == unknown


async def test_needs_no_extension(agent_settings: Settings, fresh_database: str) -> None:
    settings = agent_settings.model_copy(update={"agent_database_url": SecretStr(fresh_database)})
    index = PostingIndex(Database(settings, postings.NAME, vectors=False))
    await index.check()
    await index.aclose()
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("select extname from pg_extension where extname = 'vector'").fetchall() == []


async def test_each_term_is_looked_up_in_the_index(
    index: PostingIndex, namespace: str, agent_database_url: str
) -> None:
    """The planner once read every posting of the namespace: a hundred times slower, and the same result."""
    chance = random.Random(1)
    for batch in range(4):
        few = [chunk(" ".join(f"word{chance.randrange(3000)}" for _ in range(60)), batch * 100 + i) for i in range(100)]
        await index.upsert(namespace, few)
    lexicon = await index.lexicon(namespace)
    assert lexicon is not None
    parameters = ranking.parameters(lexicon, asked("word1 word2 word3", ["en"]), 100)
    async with index.database.connection() as connection:
        rows = await (
            await connection.execute(f"explain {ranking.statement(many=False, documents=False)}".encode(), parameters)
        ).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "term = given.term" in plan
    assert "Hash Cond" not in plan
    assert "Seq Scan on posting" not in plan


async def test_chosen_documents_keep_the_scores_they_have_among_all(index: PostingIndex, namespace: str) -> None:
    texts = ["The oil price", "Oil and oil market of the winter harvest", "Grain ships", "Oil for winter"]
    await index.upsert(namespace, [chunk(text, number, number) for number, text in enumerate(texts, 1)])
    lexicon = await index.lexicon(namespace)
    assert lexicon is not None
    terms = asked("winter oil", lexicon.languages)
    every = {hit.chunk: hit.score for hit in (await index.search(lexicon, terms, 10)).hits}
    some = (await index.search(lexicon, terms, 10, [UUID(int=1), UUID(int=2), UUID(int=3)])).hits
    of_both = [UUID(int=number).bytes for number in (1, 2)]
    assert {hit.chunk: hit.score for hit in some} == {one: every[one] for one in of_both}
    assert (await index.search(lexicon, terms, 10, [])).hits == []


async def test_many_namespaces_are_ranked_as_if_they_were_one(index: PostingIndex, namespace: str) -> None:
    """More of them than lie together in the index; others between them count for nothing."""
    chance = random.Random(3)
    texts = [sentence(chance) for _ in range(2 * (1 << GROUP_BITS))]
    chunks = [chunk(text, number) for number, text in enumerate(texts, 1)]
    await index.upsert(f"{namespace}-one", chunks)
    names = [f"{namespace}-{number % 40}" for number in range(len(chunks))]
    for name in dict.fromkeys(names):
        await index.upsert(name, [one for one, of in zip(chunks, names, strict=True) if of == name])
    together, alone = await index.lexicon_of([*dict.fromkeys(names), "nobody"]), await index.lexicon(f"{namespace}-one")
    assert together is not None
    assert alone is not None
    assert (together.chunks, together.words, together.languages) == (alone.chunks, alone.words, alone.languages)
    terms = asked("oil price of the harvest", together.languages)
    many, one = [await index.search(lexicon, terms, 1000) for lexicon in (together, alone)]
    assert {hit.chunk: pytest.approx(hit.score) for hit in many.hits} == {hit.chunk: hit.score for hit in one.hits}
    assert many.confidence == pytest.approx(one.confidence)
    assert [names[UUID(bytes=hit.chunk).int - 1] for hit in many.hits] == list(many.namespaces)
    assert await index.lexicon_of(["nobody"]) is None


async def test_a_term_of_many_namespaces_is_looked_up_by_groups(index: PostingIndex, namespace: str) -> None:
    for number in range(5):
        await index.upsert(f"{namespace}-{number}", [chunk(f"The oil price {number}")])
    lexicon = await index.lexicon_of([f"{namespace}-{number}" for number in range(5)])
    assert lexicon is not None
    parameters = ranking.parameters(lexicon, asked("oil price", ["en"]), 100)
    async with index.database.connection() as connection:
        # Whatever else the tests have left in the tables, and whether anybody has counted it by now.
        await connection.execute("analyze vectors.posting")
        await connection.execute("set enable_seqscan = off")
        statement = f"explain {ranking.statement(many=True, documents=False)}"
        rows = await (await connection.execute(statement.encode(), parameters)).fetchall()
        await connection.execute("reset enable_seqscan")
    plan = "\n".join(row[0] for row in rows)
    assert "((lexicon >> 8)) = space.together" in plan
    assert "Seq Scan on posting" not in plan
