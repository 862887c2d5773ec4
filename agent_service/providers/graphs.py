"""Graphs (HNSW) over the vectors of one large namespace, and over all vectors once there are very many.

Built in bulk beside the running searches, which takes a tenth of what keeping a graph from the first vector on takes.
Which of them there are, and whether they may be used, PostgreSQL's own catalogue says. A namespace without a graph is
searched exactly: a graph makes a search faster and never makes it right.
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from agent_service.providers.postgres import CANDIDATES, Connection, Database

log = logging.getLogger(__name__)

GRAPH_FROM = "vectors.vector where {condition}"
GRAPH_LOCK = 0x43534752  # any number no one else locks: "CSGR"
NUMBERS = 256
"""Of a vector; thresholds are told for such vectors, and are lower for longer ones."""
KNOWN_SECONDS = 10.0
BYTES_BESIDE_NUMBERS = 700
"""Of one vector in a graph that is being built: its neighbours (16 at each level, twice that at the lowest) and what
PostgreSQL keeps of each."""

CANDIDATES_OF_LARGE = ((500_000, 1000), (50_000, 600))
"""From how many vectors on so many candidates, largest first; pgvector takes no more. With the usual ones a question
sometimes ends among the neighbours of another subject, the more often the more vectors there are."""

_KNOWN = """
    select relname, indisvalid, reltuples::bigint, namespace
    from pg_index join pg_class on pg_class.oid = indexrelid
        left join vectors.lexicon on lexicon.id = substring(relname from '^graph_([0-9]+)_')::int
    where indrelid = 'vectors.vector'::regclass and starts_with(relname, 'graph_')
"""
_SIZES = """
    select stat.lexicon, stat.n, (
        select vector_dims(embedding) from vectors.vector where vector.lexicon = stat.lexicon limit 1
    )
    from (select lexicon, sum(n)::bigint as n from vectors.namespace_stat group by lexicon) stat
    where stat.n > 0
"""


@dataclass(frozen=True, slots=True)
class Graph:
    """`lexicon`: the namespace's number, None for all of them. `vectors`: how many there were when it was built or
    PostgreSQL counted them last."""

    lexicon: int | None
    dimension: int
    vectors: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        return f"graph_{'all' if self.lexicon is None else self.lexicon}_{self.dimension}"

    @property
    def condition(self) -> str:
        """Word for word in the index and in the queries: how PostgreSQL sees that it may take the index."""
        dimension = f"vector_dims(embedding) = {self.dimension}"
        return dimension if self.lexicon is None else f"lexicon = {self.lexicon} and {dimension}"

    @property
    def expression(self) -> str:
        """A query that does not say it never takes the graph."""
        return f"(embedding::halfvec({self.dimension}))"

    @property
    def candidates(self) -> int:
        return next((many for least, many in CANDIDATES_OF_LARGE if self.vectors >= least), CANDIDATES)


def named(name: str, vectors: int) -> Graph:
    _, which, dimension = name.split("_")
    return Graph(None if which == "all" else int(which), int(dimension), vectors)


class Graphs:
    """`bot` and `everything`: from how many vectors on, 0 for never. `memory` in MB, for building one."""

    def __init__(self, database: Database, *, bot: int, everything: int, memory: int) -> None:
        self._database = database
        self._bot = bot
        self._everything = everything
        self._memory = memory
        self._of: dict[tuple[str | None, int], Graph] = {}
        self._looked = float("-inf")

    async def of(self, namespace: str, dimension: int) -> Graph | None:
        await self._look()
        return self._of.get((namespace, dimension))

    async def of_everything(self, dimension: int) -> Graph | None:
        await self._look()
        return self._of.get((None, dimension))

    def worth(self, vectors: int, dimension: int) -> bool:
        """Whether so many are too many for an exact search."""
        return self._bot > 0 and vectors * dimension >= self._bot * NUMBERS

    async def maintain(self) -> list[str]:
        """Builds what is missing and removes what is useless or was left half built; names what was done. One at a time
        over all processes: while another does it, there is nothing to do here.
        """
        async with self._alone() as connection:
            if connection is None:
                return []
            rows = await (await connection.execute(_KNOWN)).fetchall()
            known = {named(name, vectors): valid for name, valid, vectors, _ in rows}
            wanted = await self._wanted(connection, {graph for graph, valid in known.items() if valid})
            done = []
            for graph, valid in known.items():
                if graph not in wanted or not valid:
                    await connection.execute(f"drop index concurrently if exists vectors.{graph.name}".encode())
                    done.append(f"dropped {graph.name}")
            for graph, vectors in wanted.items():
                if not known.get(graph):
                    await self._build(connection, graph, vectors)
                    done.append(f"built {graph.name}")
        if done:
            self.forget()
            log.info("Graphs: %s", ", ".join(done))
        return done

    def forget(self) -> None:
        """Looks again before the next search."""
        self._looked = float("-inf")

    async def _wanted(self, connection: Connection, built: set[Graph]) -> dict[Graph, int]:
        """With the number of vectors of each. One that is there stays until its namespace has shrunk to half the size,
        lest it come and go."""
        sizes = [row for row in await (await connection.execute(_SIZES)).fetchall() if row[2] is not None]
        wanted: dict[Graph, int] = {}
        totals: dict[int, int] = {}
        for lexicon, vectors, dimension in sizes:
            totals[dimension] = totals.get(dimension, 0) + vectors
            graph = Graph(lexicon, dimension)
            if self._bot and vectors * dimension >= self._bot * NUMBERS / (2 if graph in built else 1):
                wanted[graph] = vectors
        for dimension, vectors in totals.items():
            graph = Graph(None, dimension)
            if self._everything and vectors * dimension >= self._everything * NUMBERS / (2 if graph in built else 1):
                wanted[graph] = vectors
        return wanted

    async def _build(self, connection: Connection, graph: Graph, vectors: int) -> None:
        """Beside what is written and read meanwhile. Broken off, it leaves an index that is not valid, which the next
        round drops."""
        megabytes = 64 + vectors * (graph.dimension * 2 + BYTES_BESIDE_NUMBERS) // 1_000_000
        await connection.execute(f"set maintenance_work_mem = '{min(megabytes, self._memory)}MB'".encode())
        started = time.monotonic()
        statement = (
            f"create index concurrently {graph.name} on vectors.vector using hnsw"
            f" ({graph.expression} halfvec_ip_ops) where {graph.condition}"
        ).encode()
        try:
            await connection.execute(statement)
        except psycopg.errors.DiskFull:
            # Several workers share their memory through a file system that a container may keep small.
            await connection.execute(f"drop index concurrently if exists vectors.{graph.name}".encode())
            await connection.execute("set max_parallel_maintenance_workers = 0")
            await connection.execute(statement)
        log.info("Built %s over %s vectors in %.0f s", graph.name, vectors, time.monotonic() - started)

    async def _look(self) -> None:
        """What was built elsewhere is used after some seconds; what was dropped is not missed: without its index a
        query is answered exactly."""
        now = time.monotonic()
        if now - self._looked < KNOWN_SECONDS:
            return
        self._looked = now
        async with self._database.connection() as connection:
            rows: list[tuple[Any, ...]] = await (await connection.execute(_KNOWN)).fetchall()
        graphs = [(named(name, vectors), namespace) for name, valid, vectors, namespace in rows if valid]
        self._of = {(namespace, graph.dimension): graph for graph, namespace in graphs}

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Connection | None]:
        """A connection of its own, for a build takes minutes; the lock ends with it."""
        async with self._database.apart() as connection:
            row = await (await connection.execute("select pg_try_advisory_lock(%s)", (GRAPH_LOCK,))).fetchone()
            yield connection if row and row[0] else None
