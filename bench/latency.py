"""`make bench-latency`: how long one retrieval takes over 10,000, 100,000 and, with `ARGS="--passages 1000000"`, a
million passages, of one bot and across bots, with the share of what an exact search finds; and a small bot among many.

The agent's own pipeline over a PostgreSQL of its own, filled by COPY with texts about made-up subjects: words by their
usual frequencies, vectors in clusters. Questions are words of a passage and a vector near it. No HTTP, no embedder.
"""

import argparse
import asyncio
import logging
import resource
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from pydantic import SecretStr

from agent_service.contract import RetrieveRequest, Usage
from agent_service.pipeline.agents.registry import FOLDER, read_agents
from agent_service.pipeline.lexical import asked, indexed
from agent_service.pipeline.retrieving import POOL, retrieve
from agent_service.pipeline.service import Service
from agent_service.pipeline.storing import Reader
from agent_service.ports import Embedded, Found, Vector
from agent_service.providers import registry
from agent_service.providers.binary_copy import integer_rows
from agent_service.providers.pgvector import PgvectorStore
from agent_service.settings import Settings
from bench.load import percentile
from launcher.postgres import EmbeddedPostgres

DIMENSION = 256
WORDS = 30_000
WORDS_OF_A_PASSAGE = 60
SUBJECTS = 400
OF_ITS_SUBJECT = 0.7
"""How much of a passage's vector is that of its subject; what is left is its own."""
ASKED_WORDS = 8
QUESTIONS = 100
LIMIT = 8
AT_ONCE = 20_000
"""Passages in one COPY."""


class Texts:
    """A made-up language and what is written in it."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = np.random.default_rng(seed)
        self.terms = np.array([next(iter(indexed(_word(number)).counts)) for number in range(WORDS)], np.int64)
        # Zipf's law without its first fifty words, which join and point (Mandelbrot's form).
        weights = 1 / (np.arange(WORDS) + 50.0)
        self.chances = np.cumsum(weights / weights.sum())
        self.subjects = self._unit(self.chance.standard_normal((SUBJECTS, DIMENSION)))

    def words(self, passages: int) -> NDArray[np.int64]:
        """Numbers of words, in order, one row for each passage."""
        drawn = np.searchsorted(self.chances, self.chance.random((passages, WORDS_OF_A_PASSAGE)))
        return np.minimum(drawn, WORDS - 1)

    def vectors(self, passages: int) -> NDArray[np.float32]:
        subject = self.subjects[self.chance.integers(0, SUBJECTS, passages)]
        own = self._unit(self.chance.standard_normal((passages, DIMENSION)))
        return self._unit(OF_ITS_SUBJECT * subject + (1 - OF_ITS_SUBJECT) * own)

    def postings(self, words: NDArray[np.int64], first: int) -> list[NDArray[np.int64]]:
        """Term, number of the passage, and how often, in the order of the index; neighbours give a second term as in
        the product."""
        numbers = self.terms[words]
        left, right = numbers[:, :-1], numbers[:, 1:]
        pairs = ((left * 0x9E3779B1 + right + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        terms = np.concatenate([numbers, pairs], axis=1)
        places = np.repeat(np.arange(first, first + len(words)), terms.shape[1])
        keys, counts = np.unique(((terms.ravel() + 0x80000000) << 32) | places, return_counts=True)
        return [(keys >> 32) - 0x80000000, keys & 0xFFFFFFFF, counts]

    @staticmethod
    def _unit(rows: NDArray[Any]) -> NDArray[np.float32]:
        unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return unit


def _word(number: int) -> str:
    return f"q{number:05d}x"


@dataclass(frozen=True)
class Question:
    text: str
    vector: Vector


class Filler:
    """Puts bots into the tables as the agent would, only faster."""

    def __init__(self, url: str, texts: Texts) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._texts = texts
        self._used = 0

    def fill(self, namespace: str, passages: int, questions: int = 0) -> list[Question]:
        lexicon = self._open(namespace, passages)
        asked_of: list[Question] = []
        for first in range(0, passages, AT_ONCE):
            count = min(AT_ONCE, passages - first)
            words, vectors = self._texts.words(count), self._texts.vectors(count)
            self._copy(lexicon, first, words, vectors)
            if first == 0:
                asked_of = [self._question(words[one], vectors[one]) for one in range(min(questions, count))]
        return asked_of

    def settle(self) -> None:
        """What autovacuum would do in its time."""
        for table in ("vector", "lexical_chunk", "posting", "lexicon", "namespace_stat"):
            self._connection.execute(f"vacuum analyze vectors.{table}".encode())

    def close(self) -> None:
        self._connection.close()

    def _open(self, namespace: str, passages: int) -> int:
        insert = "insert into vectors.lexicon (namespace, numbered) values (%s, %s) returning id"
        row = self._connection.execute(insert, (namespace, passages)).fetchone()
        lexicon = int(row[0]) if row else 0
        counts = (lexicon, "en", passages, passages * WORDS_OF_A_PASSAGE)
        self._connection.execute("insert into vectors.namespace_stat values (%s, %s, %s, %s)", counts)
        return lexicon

    def _copy(self, lexicon: int, first: int, words: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        count = len(words)
        ids = np.array([self._used + number for number in range(count)], dtype=">u8")
        self._used += count
        chunk = _uuids(ids * 0x9E3779B97F4A7C15, ids)  # in no order, as real ones are
        document = _uuids(ids // 50, np.full(count, lexicon, ">u8"))
        shared = [("lexicon", ">i4", lexicon), ("chunk", "V16", chunk), ("document", "V16", document)]
        version = ("version", "V16", _uuids(np.ones(count, ">u8"), np.ones(count, ">u8")))
        halves = np.zeros(count, np.dtype([("size", ">i2"), ("unused", ">i2"), ("numbers", ">f2", DIMENSION)]))
        halves["size"], halves["numbers"] = DIMENSION, vectors
        with self._connection.cursor() as cursor:
            with cursor.copy("copy vectors.vector from stdin (format binary)") as copy:
                copy.write(_rows([*shared, version, ("embedding", halves.dtype, halves)]))
            columns = "lexicon, number, chunk, document, version, language, len, terms"
            with cursor.copy(f"copy vectors.lexical_chunk ({columns}) from stdin (format binary)") as copy:
                number = ("number", ">i4", np.arange(first, first + count))
                empty = np.frombuffer(b"\0\0\0\0\0\0\0\0\0\0\0\x17", "V12")[0]
                fields = [shared[0], number, *shared[1:], version, ("language", "S2", b"en")]
                copy.write(_rows([*fields, ("len", ">i2", WORDS_OF_A_PASSAGE), ("terms", "V12", empty)]))
            terms, numbers, counts = self._texts.postings(words, first)
            columns = "lexicon, term, number, tf, len"
            with cursor.copy(f"copy vectors.posting ({columns}) from stdin (format binary)") as copy:
                length = ("int2", WORDS_OF_A_PASSAGE)
                copy.write(
                    integer_rows(("int4", lexicon), ("int4", terms), ("int4", numbers), ("int2", counts), length)
                )

    def _question(self, words: NDArray[np.int64], vector: NDArray[np.float32]) -> Question:
        start = int(self._texts.chance.integers(0, WORDS_OF_A_PASSAGE - ASKED_WORDS))
        own = self._texts.vectors(1)[0]
        near = 0.8 * vector + 0.2 * own
        text = " ".join(_word(int(one)) for one in words[start : start + ASKED_WORDS])
        return Question(text, (near / np.linalg.norm(near)).tolist())


def _uuids(high: NDArray[Any], low: NDArray[Any]) -> NDArray[Any]:
    both = np.empty((len(high), 2), ">u8")
    both[:, 0], both[:, 1] = high, low
    return both.view("V16").ravel()


def _rows(columns: Sequence[tuple[str, Any, Any]]) -> bytes:
    """Data for a binary COPY of columns of fixed size."""
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for name, kind, _ in columns:
        fields += [(f"{name} size", ">i4"), (name, kind)]
    count = next(len(values) for _, _, values in columns if isinstance(values, np.ndarray) and values.ndim)
    table = np.zeros(count, np.dtype(fields))
    table["fields"] = len(columns)
    for name, kind, values in columns:
        table[f"{name} size"], table[name] = np.dtype(kind).itemsize, values
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + table.tobytes() + b"\xff\xff"


class ToldEmbedder:
    """Knows the vector of each question beforehand."""

    id = f"bench:told:{DIMENSION}"
    dimension = DIMENSION

    def __init__(self) -> None:
        self.told: dict[str, Vector] = {}

    async def embed_documents(self, texts: Sequence[str]) -> Embedded:
        usage = Usage(provider="bench", model="told", input_tokens=0, output_tokens=0)
        return Embedded([self.told[text] for text in texts], usage)

    async def embed_query(self, text: str) -> Embedded:
        return await self.embed_documents([text])

    def lexical_share(self, language: str) -> float:  # noqa: ARG002 - all are in the one it knows
        return 0.7


@dataclass(frozen=True)
class Measured:
    """Milliseconds of each question, and of CPU for one (this process and the database's); recall of ten by vector."""

    milliseconds: list[float]
    here: float
    database: float
    recall: float
    short: int


class Bench:
    def __init__(self, postgres: EmbeddedPostgres, service: Service, filler: Filler) -> None:
        self.postgres = postgres
        self.service = service
        self.filler = filler
        self.embedder = ToldEmbedder()
        self.reader = Reader(self.embedder, *_calling(service))

    @property
    def store(self) -> PgvectorStore:
        found = self.service.catalogue.store
        assert isinstance(found, PgvectorStore)  # noqa: S101 - there is no key of any vendor
        return found

    def tell(self, questions: Sequence[Question]) -> None:
        self.embedder.told |= {one.text: one.vector for one in questions}

    async def of_one(self, namespace: str, questions: Sequence[Question]) -> Measured:
        """Through the pipeline that `/retrieve` calls."""
        shelf = self.service.shelf()

        async def found(question: Question) -> int:
            request = RetrieveRequest(embedding=self.embedder.id, query=question.text, limit=LIMIT)
            return len((await retrieve(request, namespace=namespace, reader=self.reader, shelf=shelf)).hits)

        return await self._measured([namespace], questions, found, LIMIT)

    async def across(self, namespaces: tuple[str, ...], questions: Sequence[Question]) -> Measured:
        """Both rankings at the same time, as the search across bots has it."""
        index = self.service.catalogue.lexical
        assert index is not None  # noqa: S101 - pgvector has it beside it

        async def found(question: Question) -> int:
            async def by_words() -> list[Found]:
                lexicon = await index.lexicon_of(namespaces)
                assert lexicon is not None  # noqa: S101 - they were just filled
                return (await index.search(lexicon, asked(question.text, lexicon.languages), POOL)).hits

            dense, _ = await asyncio.gather(self.store.search_many(namespaces, question.vector, POOL), by_words())
            return len(dense)

        return await self._measured(namespaces, questions, found, POOL)

    async def _measured(
        self,
        namespaces: Sequence[str],
        questions: Sequence[Question],
        found: Callable[[Question], Coroutine[Any, Any, int]],
        wanted: int,
    ) -> Measured:
        for question in questions[:10]:
            await found(question)
        times, short = [], 0
        here, there = time.process_time(), self._database_seconds()
        for question in questions:
            started = time.perf_counter()
            short += await found(question) < wanted
            times.append((time.perf_counter() - started) * 1000)
        here, there = time.process_time() - here, self._database_seconds() - there
        each = 1000 / len(questions)
        return Measured(times, here * each, there * each, await self._recall(namespaces, questions[:30]), short)

    async def _recall(self, namespaces: Sequence[str], questions: Sequence[Question]) -> float:
        """Of the ten nearest: how many the store finds, equally near ones counting as the same."""
        shares = []
        for question in questions:
            if len(namespaces) == 1:
                hits = await self.store.search(namespaces[0], question.vector, POOL)
            else:
                hits = await self.store.search_many(namespaces, question.vector, POOL)
            exact = await self._exact(namespaces, question.vector)
            shares.append(sum(hit.score >= exact[-1] - 1e-6 for hit in hits[: len(exact)]) / len(exact))
        return sum(shares) / len(shares)

    async def _exact(self, namespaces: Sequence[str], vector: Vector) -> list[float]:
        statement = """
            select -(embedding <#> %s::halfvec) from vectors.vector
            where lexicon in (select id from vectors.lexicon where namespace = any(%s))
            order by embedding <#> %s::halfvec limit 10
        """
        async with self.store.database.connection() as connection:
            rows = await (await connection.execute(statement, (str(vector), list(namespaces), str(vector)))).fetchall()
        return [row[0] for row in rows]

    def _database_seconds(self) -> float:
        return sum(_seconds(pid) for pid in _family(self.postgres.pid))


def _calling(service: Service) -> tuple[Any, Any, Any]:
    usual = service.reader(service.catalogue.default_embedding)
    return usual.upstream, usual.query_limits, usual.store_limits


def _family(root: int) -> Iterator[int]:
    yield root
    for task in Path(f"/proc/{root}/task/{root}/children").read_text().split():
        yield int(task)


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/schedstat").read_text().split()
    except OSError:
        return 0.0
    return int(fields[0]) / 1e9


def _line(name: str, measured: Measured) -> None:
    p50, p95 = (percentile(measured.milliseconds, percent) for percent in (50, 95))
    print(
        f"{name:<44}{p50:>9.1f} /{p95:>7.1f}{measured.here:>11.1f} +{measured.database:>6.1f}"
        f"{measured.recall:>12.3f}{measured.short:>12}",
        flush=True,
    )


_HEADING = f"{'':<44}{'p50 / p95 ms':>18}{'CPU ms here + db':>19}{'recall@10':>12}{'too few':>12}"


async def _bench(postgres: EmbeddedPostgres, passages: Sequence[int], bots: int) -> None:
    settings = Settings(
        _env_file=None,
        service_key=SecretStr("bench-key-0123456789-abcdefghijklmnop"),
        agent_database_url=SecretStr(postgres.url()),
        google_api_key=SecretStr(""),
        openai_api_key=SecretStr(""),
        anthropic_api_key=SecretStr(""),
        pinecone_api_key=SecretStr(""),
        vector_seconds=60.0,
        vector_retries=0,
        graph_memory_mb=2048,
    )
    async with registry.opened(settings) as catalogue:
        service = Service(settings, catalogue, read_agents(FOLDER))
        await catalogue.store.check()
        filler = Filler(postgres.url(), Texts())
        bench = Bench(postgres, service, filler)
        print(_HEADING)
        await _small_among_many(bench)
        await _growing(bench, passages)
        await _many(bench, bots)
        filler.close()


async def _small_among_many(bench: Bench) -> None:
    questions = bench.filler.fill("small", 5_000, QUESTIONS)
    bench.tell(questions)
    bench.filler.settle()
    _line("5,000 alone", await bench.of_one("small", questions))
    alone = await _answers(bench, questions)
    for number in range(200):
        bench.filler.fill(f"neighbour-{number}", 500)
    bench.filler.settle()
    _line("5,000 beside 200 bots of 500", await bench.of_one("small", questions))
    same = await _answers(bench, questions) == alone
    print(f"  the same passages with the same scores: {'yes' if same else 'NO'}")
    everybody = ("small", *(f"neighbour-{number}" for number in range(200)))
    await _tended(bench)
    _line("across these 201 bots, 105,000", await bench.across(everybody, questions))


async def _answers(bench: Bench, questions: Sequence[Question]) -> list[list[tuple[UUID, float]]]:
    shelf = bench.service.shelf()
    told = []
    for question in questions:
        request = RetrieveRequest(embedding=bench.embedder.id, query=question.text, limit=LIMIT)
        found = await retrieve(request, namespace="small", reader=bench.reader, shelf=shelf)
        told.append([(hit.chunk, hit.score) for hit in found.hits])
    return told


async def _growing(bench: Bench, passages: Sequence[int]) -> None:
    for count in passages:
        name = f"one-{count}"
        started = time.perf_counter()
        questions = bench.filler.fill(name, count, QUESTIONS)
        bench.tell(questions)
        bench.filler.settle()
        print(f"  {count:,} passages loaded in {time.perf_counter() - started:.0f} s")
        if count * DIMENSION < 50_000 * 256 or count <= 200_000:
            _line(f"one bot of {count:,}, exact", await bench.of_one(name, questions))
        if await _tended(bench):
            _line(f"one bot of {count:,}, with its graph", await bench.of_one(name, questions))


async def _many(bench: Bench, bots: int) -> None:
    if not bots:
        return
    started = time.perf_counter()
    questions = [one for number in range(bots) for one in bench.filler.fill(f"public-{number}", 10, number < QUESTIONS)]
    bench.tell(questions)
    bench.filler.settle()
    print(f"  {bots:,} bots of 10 passages loaded in {time.perf_counter() - started:.0f} s")
    await _tended(bench)
    names = tuple(f"public-{number}" for number in range(bots))
    _line(f"across {bots:,} bots, {bots * 10:,} passages", await bench.across(names, questions))
    _line(f"across 20 of these {bots:,} bots", await bench.across(names[:20], questions))


async def _tended(bench: Bench) -> bool:
    started = time.perf_counter()
    done = await bench.store.maintain()
    if done:
        print(f"  {', '.join(done)} in {time.perf_counter() - started:.0f} s")
    return bool(done)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-latency", description=__doc__)
    parser.add_argument("--passages", default="10000,100000", help="sizes of one bot, with commas")
    parser.add_argument("--bots", type=int, default=10_000, help="for the search across bots, of ten passages each")
    arguments = parser.parse_args()
    logging.getLogger("agent_service").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="chatsphere-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder), fsync=False)
        postgres.start()
        postgres.create_database()
        try:
            asyncio.run(_bench(postgres, [int(one) for one in arguments.passages.split(",") if one], arguments.bots))
        finally:
            postgres.stop()
    print(f"memory of this process at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
