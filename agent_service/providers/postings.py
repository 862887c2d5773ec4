"""The lexical index in PostgreSQL: one row for each term of each chunk, ranked by BM25 (`ranking.py`) when asked.

What BM25 needs to know of a whole namespace, how many chunks and how many words, is counted in the transaction that
changes it; in how many chunks a term is, is counted when it is asked for, by the index that is read anyway. The row of
the namespace's lexicon is locked while chunks are deleted and counted, and not while new ones are written.
"""

import struct
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import numpy as np

from agent_service.contract import StoredVector
from agent_service.ports import Asked, Found, LexicalChunk, Lexicon, Ranked
from agent_service.providers.binary_copy import int4_array, integer_rows, rows
from agent_service.providers.postgres import WHICH, Connection, Database, which
from agent_service.providers.ranking import GROUP_BITS, array, parameters, statement

NAME = "lexical index"
KNOWN_SECONDS = 5.0
KNOWN_SETS = 1000
"""How long and of how many sets of namespaces it is remembered what they hold: of ten thousand it takes a while."""
FREQUENT_SECONDS = 60.0
FREQUENT_SETS = 200
"""How long and of how many sets of namespaces it is remembered in how many chunks their frequent terms are: to count
them anew takes most of a search's time."""
DELETED_AT_ONCE = 1000
_INT4, _INT2 = struct.Struct("!i"), struct.Struct("!h")

_OPEN = """
    insert into vectors.lexicon as known (namespace, numbered) values (%(namespace)s, %(chunks)s)
    on conflict (namespace) do update set numbered = known.numbered + %(chunks)s
    returning id, numbered
"""
_LOCK = "select id from vectors.lexicon where namespace = %s for no key update"
_LEXICON = """
    select array_agg(distinct lexicon.id), stat.language, sum(stat.n)::bigint, sum(stat.sum_len)::bigint
    from vectors.lexicon join vectors.namespace_stat stat on stat.lexicon = lexicon.id
    where lexicon.namespace = any(%s) and stat.n > 0
    group by stat.language order by sum(stat.n) desc, stat.language
"""
_SEARCH = {(many, chosen): statement(many=many, documents=chosen) for many in (False, True) for chosen in (False, True)}
_OF_NAMESPACE = "lexicon = (select id from vectors.lexicon where namespace = %(namespace)s)"
_PRESENT = f"select chunk from vectors.lexical_chunk where {_OF_NAMESPACE} and chunk = any(%(ids)s)"  # noqa: S608 - constants
_COUNT = f"select count(*) from vectors.lexical_chunk where {_OF_NAMESPACE} and {WHICH}"  # noqa: S608
_LISTING = f"""
    select chunk, document, version from vectors.lexical_chunk
    where {_OF_NAMESPACE} and (%(after)s::uuid is null or chunk > %(after)s)
    order by chunk limit %(limit)s
"""  # noqa: S608
_NAMESPACES = """
    select namespace from vectors.lexicon
    where starts_with(namespace, %s)
        and exists (select from vectors.lexical_chunk chunk where chunk.lexicon = vectors.lexicon.id)
"""
_CHUNKS_WITH = f"""
    select given.term, found.chunks from unnest(%(terms)s::int[]) as given (term) cross join lateral (
        select count(*) as chunks from (
            select from vectors.posting
            where lexicon >> {GROUP_BITS} = %(lexicon)s::int >> {GROUP_BITS} and lexicon = %(lexicon)s::int
                and term = given.term
            limit 100
        ) counted
        offset 0
    ) found
    where found.chunks > 0
"""  # noqa: S608
_SOME = f"select chunk from vectors.lexical_chunk where lexicon = %(lexicon)s and {WHICH} limit %(limit)s"  # noqa: S608

_BY_INDEX = "set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off"
"""The planner does not know how few postings a chunk has and would read those of all namespaces."""
# Each posting is looked up by itself: joined, the planner may read all of the lexicon's for each that goes.
_DELETE = f"""
    with gone as (
        delete from vectors.lexical_chunk where lexicon = %(lexicon)s and chunk = any(%(ids)s)
        returning number, language, len, terms
    ), pair as materialized (
        select number, unnest(terms) as term from gone
    ), posting as (
        delete from vectors.posting where ctid = any(array(
            select found.place from pair cross join lateral (
                select posting.ctid as place from vectors.posting
                where posting.lexicon >> {GROUP_BITS} = %(lexicon)s::int >> {GROUP_BITS}
                    and posting.lexicon = %(lexicon)s::int and posting.term = pair.term and posting.number = pair.number
                limit 1
            ) as found
        ))
    ), smaller as (
        update vectors.namespace_stat stat set n = stat.n - was.n, sum_len = stat.sum_len - was.sum_len
        from (select language, count(*) as n, sum(len) as sum_len from gone group by language) was
        where stat.lexicon = %(lexicon)s and stat.language = was.language
    )
    select count(*) from gone
"""  # noqa: S608

_COPY_CHUNKS = """
    copy vectors.lexical_chunk (lexicon, number, chunk, document, version, language, len, terms)
    from stdin (format binary)
"""
_COPY_POSTINGS = "copy vectors.posting (lexicon, term, number, tf, len) from stdin (format binary)"
_ANY = "select 1 from vectors.lexical_chunk where lexicon = %(lexicon)s and chunk = any(%(ids)s) limit 1"
_COUNT_CHUNKS = """
    insert into vectors.namespace_stat as stat (lexicon, language, n, sum_len) values (%s, %s, %s, %s)
    on conflict (lexicon, language) do update set n = stat.n + excluded.n, sum_len = stat.sum_len + excluded.sum_len
"""


class PostingIndex:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.at_once: int | None = database.size
        self._known: dict[tuple[str, ...], tuple[float, Lexicon | None]] = {}
        self._frequent: dict[str, tuple[float, dict[int, int]]] = {}

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]:
        parameters = {"namespace": namespace, "ids": list(ids)}
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_PRESENT, parameters, binary=True)).fetchall()
        return {row[0] for row in rows}

    async def upsert(self, namespace: str, chunks: Sequence[LexicalChunk]) -> None:
        chunks = list({chunk.id: chunk for chunk in chunks}.values())
        if not chunks:
            return
        lexicon, first = await self._numbers(namespace, len(chunks))
        known = {"lexicon": lexicon, "ids": [chunk.id for chunk in chunks]}
        async with self._changing(namespace) as connection:
            if await (await connection.execute(_ANY, known)).fetchone():
                await connection.execute(_LOCK, (namespace,))
                await connection.execute(_DELETE, known)
            await _insert(connection, lexicon, first, chunks)
            await connection.execute(_LOCK, (namespace,))
            await _count(connection, lexicon, chunks)

    async def lexicon(self, namespace: str) -> Lexicon | None:
        """None where the namespace has no chunks."""
        return await self.lexicon_of([namespace])

    async def lexicon_of(self, namespaces: Sequence[str]) -> Lexicon | None:
        """Kept for some seconds: what another process has stored meanwhile is found, but counts only then."""
        asked = tuple(namespaces)
        until, known = self._known.get(asked, (0.0, None))
        if known is None or until < time.monotonic():
            known = await self._together(asked)
            if len(self._known) >= KNOWN_SETS:
                self._known.clear()
            self._known[asked] = (time.monotonic() + KNOWN_SECONDS, known)
        return known

    async def search(
        self, lexicon: Lexicon, asked: Sequence[Asked], limit: int, documents: Collection[UUID] | None = None
    ) -> Ranked:
        many = len(lexicon.keys) > 1
        known = self._counts(lexicon)
        given = parameters(lexicon, asked, limit, documents, known)
        async with self.database.connection() as connection:
            cursor = await connection.execute(_SEARCH[many, documents is not None].encode(), given, binary=True)
            rows = await cursor.fetchall()
        if rows and rows[0][6]:
            known.update(zip(rows[0][6], rows[0][7], strict=True))
        hits = [Found(*row[:4]) for row in rows]
        confidence = max((min(1.0, row[4] / row[5]) for row in rows), default=0.0)
        missing = (rows[0][8] or ()) if rows else (form for one in asked for form in one.forms)
        return Ranked(hits, confidence, frozenset(missing), [row[9] for row in rows] if many else ())

    async def chunks_with(self, lexicon: Lexicon, terms: Sequence[int]) -> Mapping[int, int]:
        given = {"lexicon": lexicon.keys[0], "terms": list(terms)}
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_CHUNKS_WITH, given, binary=True)).fetchall()
        return dict(rows)

    async def delete(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int:
        """A part at a time, each a transaction of its own: one that is cut short by a time limit is resumed by the
        next."""
        deleted = 0
        while some := await self._delete_some(which(namespace, document, version, keep_version)):
            deleted += some
        return deleted

    async def count(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int:
        async with self.database.connection() as connection:
            row = await (await connection.execute(_COUNT, which(namespace, document, version, keep_version))).fetchone()
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
            await connection.execute("select 1 from vectors.posting limit 1")

    async def aclose(self) -> None:
        await self.database.aclose()

    def _counts(self, lexicon: Lexicon) -> dict[int, int]:
        """Of its frequent terms, as far as they are known; to be added to."""
        key, now = array(tuple(lexicon.keys)), time.monotonic()
        until, counts = self._frequent.get(key, (0.0, {}))
        if until < now:
            if len(self._frequent) >= FREQUENT_SETS:
                self._frequent.clear()
            counts = {}
            self._frequent[key] = (now + FREQUENT_SECONDS, counts)
        return counts

    async def _together(self, namespaces: Sequence[str]) -> Lexicon | None:
        async with self.database.connection() as connection:
            rows = await (await connection.execute(_LEXICON, (list(namespaces),), binary=True)).fetchall()
        if not rows:
            return None
        keys = sorted({key for row in rows for key in row[0]})
        return Lexicon(keys, [row[1] for row in rows], sum(row[2] for row in rows), sum(row[3] for row in rows))

    async def _delete_some(self, chosen: dict[str, str | UUID | None]) -> int:
        async with self._changing(str(chosen["namespace"])) as connection:
            row = await (await connection.execute(_LOCK, (chosen["namespace"],))).fetchone()
            if row is None:
                return 0
            more = {"lexicon": row[0], "limit": DELETED_AT_ONCE}
            rows = await (await connection.execute(_SOME, chosen | more)).fetchall()
            if rows:
                await connection.execute(_DELETE, {"lexicon": row[0], "ids": [chunk for (chunk,) in rows]})
                self._frequent.pop(array((row[0],)), None)
        return len(rows)

    async def _numbers(self, namespace: str, count: int) -> tuple[int, int]:
        """The namespace's lexicon, and the first of `count` numbers in it that nobody else gets."""
        async with self.database.connection() as connection:
            row = await (await connection.execute(_OPEN, {"namespace": namespace, "chunks": count})).fetchone()
        assert row is not None  # noqa: S101 - an upsert that always returns its row
        lexicon, numbered = row
        return lexicon, numbered - count

    @asynccontextmanager
    async def _changing(self, namespace: str) -> AsyncIterator[Connection]:
        try:
            async with self.database.connection() as connection, connection.transaction():
                await connection.execute(_BY_INDEX)
                yield connection
        finally:
            self._known.pop((namespace,), None)


async def _insert(connection: Connection, lexicon: int, first: int, chunks: Sequence[LexicalChunk]) -> None:
    """Chunks of which none is there, numbered from `first`."""
    async with connection.cursor() as cursor:
        async with cursor.copy(_COPY_CHUNKS) as copy:
            await copy.write(_chunk_rows(lexicon, first, chunks))
        async with cursor.copy(_COPY_POSTINGS) as copy:
            await copy.write(_posting_rows(lexicon, first, chunks))


async def _count(connection: Connection, lexicon: int, chunks: Sequence[LexicalChunk]) -> None:
    lengths: dict[str, list[int]] = {}
    for chunk in chunks:
        lengths.setdefault(chunk.indexed.language, []).append(chunk.indexed.length)
    for language, those in lengths.items():
        await connection.execute(_COUNT_CHUNKS, (lexicon, language, len(those), sum(those)))


def _chunk_rows(lexicon: int, first: int, chunks: Sequence[LexicalChunk]) -> bytes:
    return rows(
        (
            _INT4.pack(lexicon),
            _INT4.pack(number),
            chunk.id.bytes,
            chunk.document.bytes,
            chunk.version.bytes,
            chunk.indexed.language.encode(),
            _INT2.pack(chunk.indexed.length),
            int4_array(np.fromiter(chunk.indexed.counts.keys(), np.int32)),
        )
        for number, chunk in enumerate(chunks, start=first)
    )


def _posting_rows(lexicon: int, first: int, chunks: Sequence[LexicalChunk]) -> bytes:
    """In the order of the index."""
    texts = [chunk.indexed for chunk in chunks]
    sizes = [len(text.counts) for text in texts]
    terms = np.fromiter((term for text in texts for term in text.counts), np.int32, sum(sizes))
    counts = np.fromiter((count for text in texts for count in text.counts.values()), np.int16, sum(sizes))
    numbers = np.repeat(np.arange(first, first + len(texts), dtype=np.int32), sizes)
    lengths = np.repeat(np.array([text.length for text in texts], dtype=np.int16), sizes)
    order = np.lexsort((numbers, terms))
    return integer_rows(
        ("int4", lexicon),
        ("int4", terms[order]),
        ("int4", numbers[order]),
        ("int2", counts[order]),
        ("int2", lengths[order]),
    )
