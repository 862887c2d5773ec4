"""Vectors in PostgreSQL with pgvector: exact search by inner product within one namespace, or several.

Half precision, stored in line: a scan of full-precision vectors that PostgreSQL has moved out of line is ten times
slower. Up to some ten thousand vectors the exact scan takes milliseconds. What is larger is searched by a graph over
just these vectors (`graphs.py`), or over all of them where many namespaces are asked; a graph over all of them with one
namespace's filter would silently lose rows.
"""

import struct
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pgvector import HalfVector
from psycopg.errors import UniqueViolation

from agent_service.contract import StoredVector
from agent_service.ports import Found, StoredChunk, Vector
from agent_service.providers.binary_copy import rows
from agent_service.providers.graphs import GRAPH_FROM, Graph, Graphs
from agent_service.providers.postgres import CANDIDATES, WHICH, Connection, Database, which
from agent_service.settings import Settings

NAME = "pgvector"
KNOWN_SECONDS = 5.0
KNOWN_SETS = 64
"""How long and of how many sets of namespaces their numbers are remembered: of ten thousand it takes a while."""

NEARLY_ALL_FROM = 500
"""Of so many namespaces the others are worth counting."""
FEW_OTHERS = 1000
_OF = "lexicon = (select id from vectors.lexicon where namespace = %(namespace)s)"
_DELETE = f"delete from vectors.vector where {_OF} and {WHICH}"  # noqa: S608 - constants
_COUNT = f"select count(*) from vectors.vector where {_OF} and {WHICH}"  # noqa: S608
_PRESENT = f"select chunk from vectors.vector where {_OF} and chunk = any(%(ids)s)"  # noqa: S608
_NEAREST = """
    select uuid_send(chunk), uuid_send(document), uuid_send(version), -distance
    from (
        select chunk, document, version, embedding <#> %(vector)s as distance
        from vectors.vector
        where {where} and vector_dims(embedding) = %(dimension)s
        order by embedding <#> %(vector)s, chunk
        limit %(limit)s
    ) nearest
    order by distance, chunk
"""
"""What is told of the nearest is made of them alone: in one piece, PostgreSQL makes it of all before it sorts them, a
second distance among it.
"""
SEARCH = _NEAREST.format(where=_OF)
_SEARCH_DOCUMENTS = _NEAREST.format(where=f"{_OF} and document = any(%(documents)s)")
_SEARCH_MANY = _NEAREST.format(where="lexicon = any(%(lexicons)s::int[])")
_SEARCH_NEARLY_ALL = _NEAREST.format(
    where="lexicon between %(first)s::int and %(last)s::int and lexicon <> all(%(others)s::int[])"
)
_SEARCH_MANY_DOCUMENTS = _NEAREST.format(where="lexicon = any(%(lexicons)s::int[]) and document = any(%(documents)s)")
_SIZES = """
    select coalesce(array_agg(lexicon.id order by lexicon.id), '{}')::text, coalesce(sum(stat.n), 0)::bigint
    from vectors.lexicon left join (
        select lexicon, sum(n) as n from vectors.namespace_stat group by lexicon
    ) stat on stat.lexicon = lexicon.id
    where lexicon.namespace = any(%(namespaces)s)
"""
_OTHERS = """
    select min(id), max(id), coalesce(array_agg(id) filter (where not among), '{}')::text,
        count(*) filter (where not among)
    from (
        select id, one is not null as among
        from vectors.lexicon left join unnest(%(lexicons)s::int[]) one on one = id
        where id between (select min(one) from unnest(%(lexicons)s::int[]) one)
            and (select max(one) from unnest(%(lexicons)s::int[]) one)
    ) between_them
"""
_LISTING = f"""
    select chunk, document, version from vectors.vector
    where {_OF} and (%(after)s::uuid is null or chunk > %(after)s)
    order by chunk limit %(limit)s
"""  # noqa: S608
_NAMESPACES = """
    select namespace from vectors.lexicon
    where starts_with(namespace, %s)
        and exists (select from vectors.vector where vector.lexicon = vectors.lexicon.id)
"""
_OPEN = "insert into vectors.lexicon (namespace, numbered) values (%s, 0) on conflict (namespace) do nothing"
_LEXICON = "select id from vectors.lexicon where namespace = %s"
_COPY = "copy vectors.vector (lexicon, chunk, document, version, embedding) from stdin (format binary)"
_UPSERT = """
    insert into vectors.vector (lexicon, chunk, document, version, embedding) values (%s, %s, %s, %s, %s)
    on conflict (lexicon, chunk) do update
    set document = excluded.document, version = excluded.version, embedding = excluded.embedding
"""
_INT4 = struct.Struct("!i")


@dataclass(frozen=True, slots=True)
class _Known:
    """Of a set of namespaces: their numbers as PostgreSQL reads them, and how many passages they hold; of a large set
    the first and the last number, and the others between them, which are few where it is nearly all there are. Numbers
    only grow: what is made later is behind the last.
    """

    lexicons: str
    passages: int
    first: int | None = None
    last: int | None = None
    others: str = "{}"
    count: int = 0

    @property
    def nearly_all(self) -> bool:
        """Planning a search among ten thousand numbers takes as long as the search."""
        return self.first is not None and self.count <= FEW_OTHERS

    @property
    def parameters(self) -> dict[str, Any]:
        return {"lexicons": self.lexicons, "first": self.first, "last": self.last, "others": self.others}


_NOTHING = _Known("{}", 0)


class PgvectorStore:
    most_namespaces: int | None = None

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings, NAME, vectors=True)
        self.at_once: int | None = self.database.size
        self._known: dict[tuple[str, ...], tuple[float, _Known]] = {}
        self.graphs = Graphs(
            self.database,
            bot=settings.graph_passages,
            everything=settings.graph_passages_all,
            memory=settings.graph_memory_mb,
        )

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]:
        parameters = {"namespace": namespace, "ids": list(ids)}
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_PRESENT, parameters, binary=True)).fetchall()
        return {row[0] for row in rows}

    async def upsert(self, namespace: str, chunks: Sequence[StoredChunk]) -> None:
        """What is there already, which callers find out before, costs a second try."""
        async with self.database.connection() as connection:
            lexicon = await _lexicon(connection, namespace)
            found = [(one.id, one.document, one.version, HalfVector(one.vector)) for one in chunks]
            try:
                async with connection.transaction(), connection.cursor().copy(_COPY) as copy:
                    await copy.write(_copied(lexicon, found))
            except UniqueViolation:
                async with connection.transaction():
                    await connection.cursor(binary=True).executemany(_UPSERT, [(lexicon, *row) for row in found])

    async def search(
        self, namespace: str, vector: Vector, limit: int, documents: Collection[UUID] | None = None
    ) -> list[Found]:
        asked = _asked(vector, limit) | {"namespace": namespace}
        if documents is not None:
            return await self._found(_SEARCH_DOCUMENTS, asked | {"documents": list(documents)})
        graph = await self.graphs.of(namespace, len(vector))
        if graph is not None:
            found = await self._near(graph, asked)
            if len(found) == limit:
                return found
        return await self._found(SEARCH, asked)

    async def search_many(
        self, namespaces: Sequence[str], vector: Vector, limit: int, documents: Collection[UUID] | None = None
    ) -> list[Found]:
        known = await self._sizes(tuple(namespaces))
        asked = _asked(vector, limit) | known.parameters
        if documents is not None:
            return await self._found(_SEARCH_MANY_DOCUMENTS, asked | {"documents": list(documents)})
        graph = await self.graphs.of_everything(len(vector)) if self.graphs.worth(known.passages, len(vector)) else None
        if graph is not None:
            found = await self._near(graph, asked, "lexicon = any(%(lexicons)s::int[])")
            if len(found) == limit:
                return found
        return await self._found(_SEARCH_NEARLY_ALL if known.nearly_all else _SEARCH_MANY, asked)

    async def delete(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int:
        async with self.database.connection() as connection:
            return (await connection.execute(_DELETE, which(namespace, document, version, keep_version))).rowcount

    async def count(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int:
        async with self.database.connection() as connection:
            cursor = await connection.execute(_COUNT, which(namespace, document, version, keep_version))
            row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def listing(self, namespace: str, after: UUID | None, limit: int) -> list[StoredVector]:
        parameters = {"namespace": namespace, "after": after, "limit": limit}
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_LISTING, parameters, binary=True)).fetchall()
        return [StoredVector(chunk=chunk, document=document, version=version) for chunk, document, version in rows]

    async def namespaces(self, prefix: str) -> list[str]:
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_NAMESPACES, (prefix,))).fetchall()
        return [name for (name,) in rows]

    async def maintain(self) -> list[str]:
        """Builds the graphs that are worth it; names what was done."""
        return await self.graphs.maintain()

    async def check(self) -> None:
        async with self.database.connection() as connection:
            await connection.execute("select 1 from vectors.vector limit 1")

    async def aclose(self) -> None:
        await self.database.aclose()

    async def _sizes(self, namespaces: tuple[str, ...]) -> "_Known":
        """Kept for some seconds."""
        until, known = self._known.get(namespaces, (0.0, _NOTHING))
        if until < time.monotonic():
            async with self.database.connection() as connection:
                row = await (await connection.execute(_SIZES, {"namespaces": list(namespaces)})).fetchone()
                known = _Known(row[0], row[1]) if row else _NOTHING
                if len(namespaces) >= NEARLY_ALL_FROM:
                    others = await (await connection.execute(_OTHERS, {"lexicons": known.lexicons})).fetchone()
                    known = _Known(known.lexicons, known.passages, *others) if others else known
            if len(self._known) >= KNOWN_SETS:
                self._known.clear()
            self._known[namespaces] = (time.monotonic() + KNOWN_SECONDS, known)
        return known

    async def _near(self, graph: Graph, parameters: dict[str, Any], further: str = "true") -> list[Found]:
        statement = by_graph(graph, further)
        if graph.candidates == CANDIDATES:
            return await self._found(statement, parameters)
        async with self.database.connection() as connection, connection.transaction():
            await connection.execute(f"set local hnsw.ef_search = {graph.candidates}".encode())
            rows = await (await connection.execute(statement.encode(), parameters, binary=True)).fetchall()
        return [Found(*row) for row in rows]

    async def _found(self, statement: str, parameters: dict[str, Any]) -> list[Found]:
        async with self.database.connection() as connection:
            rows = await (await connection.execute(statement.encode(), parameters, binary=True)).fetchall()
        return [Found(*row) for row in rows]


async def _lexicon(connection: Connection, namespace: str) -> int:
    """The namespace's number, given to it now where it has none. It is never taken back."""
    while True:
        row = await (await connection.execute(_LEXICON, (namespace,))).fetchone()
        if row is not None:
            return int(row[0])
        await connection.execute(_OPEN, (namespace,))


def _copied(lexicon: int, chunks: Iterable[tuple[UUID, UUID, UUID, HalfVector]]) -> bytes:
    of_lexicon = _INT4.pack(lexicon)
    return rows(
        (of_lexicon, chunk.bytes, document.bytes, version.bytes, vector.to_binary())
        for chunk, document, version, vector in chunks
    )


def _asked(vector: Vector, limit: int) -> dict[str, Any]:
    return {"vector": HalfVector(vector), "dimension": len(vector), "limit": limit}


def by_graph(graph: Graph, further: str = "true") -> str:
    """A graph gives its vectors nearly in order; here they are put in order."""
    return f"""
        with near as materialized (
            select chunk, document, version, embedding <#> %(vector)s as distance
            from {GRAPH_FROM.format(condition=graph.condition)} and {further}
            order by {graph.expression} <#> %(vector)s limit %(limit)s
        )
        select uuid_send(chunk), uuid_send(document), uuid_send(version), -distance from near order by distance, chunk
    """  # noqa: S608 - numbers and constants
