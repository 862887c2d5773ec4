"""Vectors in PostgreSQL with pgvector: exact search by inner product within one namespace.

Half precision, stored in line: a scan of full-precision vectors that PostgreSQL has moved out of line is ten times
slower. No index over the vectors themselves: filtered by namespace, an approximate one loses rows, and up to some ten
thousand chunks the exact scan takes milliseconds.
"""

from collections.abc import Sequence
from uuid import UUID

from pgvector import HalfVector

from agent_service.contract import Hit, StoredVector
from agent_service.ports import StoredChunk, Vector
from agent_service.providers.postgres import WHICH, Database, which
from agent_service.settings import Settings

NAME = "pgvector"

_DELETE = f"delete from vectors.vector where namespace = %(namespace)s and {WHICH}"  # noqa: S608 - constants
_COUNT = f"select count(*) from vectors.vector where namespace = %(namespace)s and {WHICH}"  # noqa: S608
_PRESENT = "select chunk from vectors.vector where namespace = %s and chunk = any(%s)"
_SEARCH = """
    select chunk, document, version, -(embedding <#> %(vector)s) as score
    from vectors.vector
    where namespace = %(namespace)s and vector_dims(embedding) = %(dimension)s
    order by embedding <#> %(vector)s, chunk
    limit %(limit)s
"""
_LISTING = """
    select chunk, document, version from vectors.vector
    where namespace = %(namespace)s and (%(after)s::uuid is null or chunk > %(after)s)
    order by chunk limit %(limit)s
"""
# From each name to the next by the index, so that it takes as long as there are names and not as there are vectors.
_NAMESPACES = """
    with recursive found (name) as (
        (select namespace from vectors.vector order by namespace limit 1)
        union all
        select (select namespace from vectors.vector where namespace > found.name order by namespace limit 1)
        from found where found.name is not null
    )
    select name from found where starts_with(name, %s)
"""
_UPSERT = """
    insert into vectors.vector (namespace, chunk, document, version, embedding) values (%s, %s, %s, %s, %s)
    on conflict (namespace, chunk) do update
    set document = excluded.document, version = excluded.version, embedding = excluded.embedding
"""


class PgvectorStore:
    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings, NAME, vectors=True)

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]:
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_PRESENT, (namespace, list(ids)), binary=True)).fetchall()
        return {row[0] for row in rows}

    async def upsert(self, namespace: str, chunks: Sequence[StoredChunk]) -> None:
        rows = [(namespace, one.id, one.document, one.version, HalfVector(one.vector)) for one in chunks]
        async with self.database.connection() as connection, connection.transaction():
            await connection.cursor(binary=True).executemany(_UPSERT, rows)

    async def search(self, namespace: str, vector: Vector, limit: int) -> list[Hit]:
        parameters = {
            "namespace": namespace,
            "vector": HalfVector(vector),
            "dimension": len(vector),
            "limit": limit,
        }
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_SEARCH, parameters, binary=True)).fetchall()
        return [
            Hit(chunk=chunk, document=document, version=version, score=score)
            for chunk, document, version, score in rows
        ]

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

    async def check(self) -> None:
        async with self.database.connection() as connection:
            await connection.execute("select 1 from vectors.vector limit 1")

    async def aclose(self) -> None:
        await self.database.aclose()
