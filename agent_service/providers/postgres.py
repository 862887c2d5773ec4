"""The schema `vectors` in PostgreSQL: its connections and its migrations.

The vectors need the extension `vector`; the lexical index needs no extension, so that it also stands beside Pinecone on
any PostgreSQL.
"""

import asyncio
import logging
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from agent_service.errors import Misconfigured, UpstreamError
from agent_service.settings import Settings

log = logging.getLogger(__name__)

MIGRATION_LOCK = 0x43535645  # any number no one else locks: "CSVE"
VECTORS = frozenset({1, 4})
"""Migrations of the vectors alone."""

MIGRATIONS = {
    1: """
    create extension if not exists vector;
    create table vectors.vector (
        namespace text not null,
        chunk uuid not null,
        document uuid not null,
        version uuid not null,
        embedding halfvec not null,
        primary key (namespace, chunk)
    );
    alter table vectors.vector alter column embedding set storage plain;
    create index vector_document on vectors.vector (namespace, document);
    """,
    2: """
    create table vectors.lexicon (
        id int generated always as identity primary key,
        namespace text not null unique,
        numbered int not null
    );
    create table vectors.namespace_stat (
        lexicon int not null references vectors.lexicon,
        language text not null,
        n int not null check (n >= 0),
        sum_len bigint not null check (sum_len >= 0),
        primary key (lexicon, language)
    );
    create table vectors.term_stat (
        lexicon int not null,
        term int not null,
        df int not null check (df > 0),
        primary key (lexicon, term)
    );
    create table vectors.lexical_chunk (
        lexicon int not null references vectors.lexicon,
        number int not null,
        chunk uuid not null,
        document uuid not null,
        version uuid not null,
        language text not null,
        len smallint not null,
        terms int[] not null,
        primary key (lexicon, chunk),
        unique (lexicon, number)
    );
    create index lexical_chunk_document on vectors.lexical_chunk (lexicon, document);
    create table vectors.posting (
        lexicon int not null,
        term int not null,
        number int not null,
        tf smallint not null,
        len smallint not null,
        primary key (lexicon, term, number) include (tf, len)
    );
    """,
    3: "drop table vectors.term_stat",
    # A number for the namespace, of which a search over many takes ten thousand. Copied in the order of the namespaces:
    # what lies together is read several times faster.
    4: """
    create table vectors.placed (
        lexicon int not null references vectors.lexicon,
        chunk uuid not null,
        document uuid not null,
        version uuid not null,
        embedding halfvec not null
    );
    alter table vectors.placed alter column embedding set storage plain;
    insert into vectors.lexicon (namespace, numbered)
        select distinct namespace, 0 from vectors.vector on conflict (namespace) do nothing;
    insert into vectors.placed
        select lexicon.id, chunk, document, version, embedding
        from vectors.vector join vectors.lexicon using (namespace) order by lexicon.id;
    drop table vectors.vector;
    alter table vectors.placed rename to vector;
    alter table vectors.vector add constraint vector_pkey primary key (lexicon, chunk);
    create index vector_document on vectors.vector (lexicon, document);
    """,
    # A search over many namespaces goes to each group of 256 once for a term, and not to each namespace.
    5: """
    alter table vectors.posting drop constraint posting_pkey;
    create unique index posting_term on vectors.posting ((lexicon >> 8), term, lexicon, number) include (tf, len);
    """,
}
"""Applied once each, in order; one that has been released is never changed, the next one is added."""

_NO_EXTENSION = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.UndefinedFile,
)
MIGRATION_TABLE = """
    create table if not exists vectors.migration (
        number int primary key,
        applied_at timestamptz not null default now()
    )
"""

CANDIDATES = 200
"""So many a graph keeps while it looks for the nearest."""
_GRAPH_SEARCH = f"set hnsw.ef_search = {CANDIDATES}; set hnsw.iterative_scan = relaxed_order"
"""Goes on where the first candidates do not suffice, and need not give them in order."""

Connection = AsyncConnection[TupleRow]


class Database:
    """Connects and migrates with the first call, so that the service starts, and says what is missing, while the
    database is away. `name` is the upstream's in errors.
    """

    def __init__(self, settings: Settings, name: str, *, vectors: bool) -> None:
        self._url = settings.vectors_url
        self._connect_seconds = settings.vector_connect_seconds
        self.size = settings.vector_pool_size
        self._name = name
        self._vectors = vectors
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One statement or one transaction; the connection goes back at once and is not held while a model is waited
        for.
        """
        async with self._translated(), (await self._opened()).connection() as connection:
            yield connection

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Connection]:
        """A connection beside the pool, for what takes long; it is closed at the end."""
        async with self._translated():
            await self._opened()
            async with await AsyncConnection.connect(self._url, **self._connect_options()) as connection:
                yield connection

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            raise UpstreamError("unreachable", self._name) from error
        except psycopg.DataError as error:
            raise UpstreamError("rejected", self._name) from error
        except psycopg.DatabaseError as error:
            raise UpstreamError("unavailable", self._name) from error

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _opened(self) -> AsyncConnectionPool[Connection]:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    await self._migrate()
                    self._pool = await self._new_pool()
        return self._pool

    async def _new_pool(self) -> AsyncConnectionPool[Connection]:
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self._url,
            kwargs=self._connect_options(),
            min_size=1,
            max_size=self.size,
            timeout=self._connect_seconds,
            configure=self._configure,
            check=_check,
            reconnect_timeout=self._connect_seconds,
            name=self._name,
            open=False,
        )
        await pool.open()
        return pool

    async def _configure(self, connection: Connection) -> None:
        # Compiling a query takes longer than any of these runs.
        await connection.execute("set jit = off")
        if self._vectors:
            await connection.execute(_GRAPH_SEARCH)
            await register_vector_async(connection)

    async def _migrate(self) -> None:
        connection = await AsyncConnection.connect(self._url, **self._connect_options())
        async with connection:
            try:
                async with connection.transaction():
                    await _apply_migrations(connection, vectors=self._vectors)
            except _NO_EXTENSION as error:
                raise Misconfigured(
                    "The vectors need PostgreSQL's extension `vector`: it is not there or this user may not create "
                    "it. An administrator runs in this database: CREATE EXTENSION vector; GRANT CREATE ON DATABASE …;",
                    details={"upstream": self._name},
                ) from error

    def _connect_options(self) -> dict[str, Any]:
        # Without autocommit a single select would open a transaction and cost two round trips more.
        return {"autocommit": True, "connect_timeout": max(1, round(self._connect_seconds))}


async def _check(connection: Connection) -> None:
    """After a restart of the database all of them are dead, and the system knows it without being asked: only where
    something came unasked is the server spoken to, for asking it every time doubles what a small query costs.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)


async def _apply_migrations(connection: Connection, *, vectors: bool) -> None:
    """Under a lock, so that processes that start together do not both create the tables."""
    await connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    await connection.execute("create schema if not exists vectors")
    await connection.execute(MIGRATION_TABLE)
    rows = await (await connection.execute("select number from vectors.migration")).fetchall()
    applied = {row[0] for row in rows}
    missing = [number for number in MIGRATIONS if number not in applied and (vectors or number not in VECTORS)]
    for number in missing:
        await connection.execute(MIGRATIONS[number].encode())
        await connection.execute("insert into vectors.migration (number) values (%s)", (number,))
    if missing:
        log.info("Applied to the vectors' schema: migrations %s", ", ".join(map(str, missing)))


def which(
    namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
) -> dict[str, str | UUID | None]:
    """Parameters for `WHICH`."""
    return {"namespace": namespace, "document": document, "version": version, "keep_version": keep_version}


WHICH = """
    (%(document)s::uuid is null or document = %(document)s)
    and (%(version)s::uuid is null or version = %(version)s)
    and (%(keep_version)s::uuid is null or version <> %(keep_version)s)
"""
