"""Chunks into vectors and into the lexical index: only what is missing is embedded, and nothing is stored that was not
checked.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from agent_service.contract import (
    Chunk,
    DeleteVectorsRequest,
    DeleteVectorsResponse,
    EmbedAndStoreRequest,
    EmbedAndStoreResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
    ListVectorsRequest,
    ListVectorsResponse,
    StoredVector,
    Usage,
)
from agent_service.pipeline.calling import Limits, Upstream
from agent_service.pipeline.embedding import checked
from agent_service.pipeline.lexical import indexed
from agent_service.pipeline.tokens import no_usage
from agent_service.ports import Embedder, LexicalChunk, LexicalIndex, StoredChunk, Vector, VectorStore

HEADING_EMBEDDED = 80
"""Characters of a heading that are embedded before the text."""


@dataclass(frozen=True, slots=True)
class LexicalShelf:
    """A lexical index with the way to call it."""

    index: LexicalIndex
    upstream: Upstream
    limits: Limits
    delete_limits: Limits


@dataclass(frozen=True, slots=True)
class Shelf:
    """A vector store with the way to call it, and what lies beside it."""

    store: VectorStore
    upstream: Upstream
    limits: Limits
    delete_limits: Limits
    lexical: LexicalShelf | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """An embedder with the way to call it."""

    embedder: Embedder
    upstream: Upstream
    query_limits: Limits
    store_limits: Limits


@dataclass(slots=True)
class Turnstile:
    """Each chunk is in one request at a time, within this process: of two that overlap the second finds what the first
    has stored. Requests for different chunks of a document do not wait for each other."""

    _inside: dict[tuple[str, UUID], asyncio.Event] = field(default_factory=dict)

    @asynccontextmanager
    async def alone_with(self, namespace: str, ids: Iterable[UUID]) -> AsyncIterator[None]:
        keys = [(namespace, one) for one in ids]
        while other := next((self._inside[key] for key in keys if key in self._inside), None):
            await other.wait()
        done = asyncio.Event()
        self._inside |= dict.fromkeys(keys, done)
        try:
            yield
        finally:
            for key in keys:
                del self._inside[key]
            done.set()


async def embed_and_store(
    request: EmbedAndStoreRequest, *, namespace: str, reader: Reader, shelf: Shelf, turnstile: Turnstile
) -> EmbedAndStoreResponse:
    wanted = {chunk.id: chunk for chunk in request.chunks}
    async with turnstile.alone_with(namespace, wanted):
        present = await shelf.upstream.call(lambda: shelf.store.present(namespace, list(wanted)), shelf.limits)
        missing = [chunk for chunk in wanted.values() if chunk.id not in present]
        usage = no_usage(request.embedding.rpartition(":")[0])
        if missing:
            vectors, usage = await _embedded(missing, reader)
            stored = [
                StoredChunk(chunk.id, chunk.document, chunk.version, vector)
                for chunk, vector in zip(missing, vectors, strict=True)
            ]
            await shelf.upstream.call(lambda: shelf.store.upsert(namespace, stored), shelf.limits)
        if shelf.lexical:
            await _index(list(wanted.values()), namespace, shelf.lexical)
    return EmbedAndStoreResponse(stored=len(missing), present=len(request.chunks) - len(missing), usage=usage)


async def delete_vectors(request: DeleteVectorsRequest, *, namespace: str, shelf: Shelf) -> DeleteVectorsResponse:
    """Counts again after deleting: what is answered as gone is gone, from both indexes."""
    which = (namespace, request.document, request.version, request.keep_version)
    deleted = await shelf.upstream.call(lambda: shelf.store.delete(*which), shelf.delete_limits)
    remaining = await shelf.upstream.call(lambda: shelf.store.count(*which), shelf.limits)
    if lexical := shelf.lexical:
        words = await lexical.upstream.call(lambda: lexical.index.delete(*which), lexical.delete_limits)
        deleted = max(deleted, words)
        remaining += await lexical.upstream.call(lambda: lexical.index.count(*which), lexical.limits)
    return DeleteVectorsResponse(deleted=deleted, remaining=remaining)


async def list_namespaces(request: ListNamespacesRequest, *, shelf: Shelf) -> ListNamespacesResponse:
    """What only one of the two indexes has is listed too."""
    names = set(await shelf.upstream.call(lambda: shelf.store.namespaces(request.prefix), shelf.delete_limits))
    if lexical := shelf.lexical:
        names |= set(
            await lexical.upstream.call(lambda: lexical.index.namespaces(request.prefix), lexical.delete_limits)
        )
    page = sorted(name for name in names if name > request.after)[: request.limit]
    return ListNamespacesResponse(namespaces=page, next=page[-1] if len(page) == request.limit else None)


async def list_vectors(request: ListVectorsRequest, *, namespace: str, shelf: Shelf) -> ListVectorsResponse:
    """What only one of the two indexes has is listed too, as incomplete."""
    asked = (namespace, request.after, request.limit)
    page = await shelf.upstream.call(lambda: shelf.store.listing(*asked), shelf.limits)
    if lexical := shelf.lexical:
        words = await lexical.upstream.call(lambda: lexical.index.listing(*asked), lexical.limits)
        page = _together(page, words)[: request.limit]
    return ListVectorsResponse(vectors=page, next=page[-1].chunk if len(page) == request.limit else None)


def _together(vectors: Sequence[StoredVector], words: Sequence[StoredVector]) -> list[StoredVector]:
    """By ascending chunk; both are the first so many of their index."""
    in_both = {one.chunk for one in vectors} & {one.chunk for one in words}
    known = {one.chunk: one for one in (*words, *vectors)}
    return [known[chunk].model_copy(update={"complete": chunk in in_both}) for chunk in sorted(known)]


async def _index(chunks: Sequence[Chunk], namespace: str, lexical: LexicalShelf) -> None:
    """Only what is missing, in a thread: finding the terms of a hundred chunks takes tens of milliseconds."""
    ids = [chunk.id for chunk in chunks]
    present = await lexical.upstream.call(lambda: lexical.index.present(namespace, ids), lexical.limits)
    missing = [chunk for chunk in chunks if chunk.id not in present]
    if missing:
        found = await asyncio.to_thread(
            lambda: [
                LexicalChunk(chunk.id, chunk.document, chunk.version, indexed(chunk.text, chunk.heading))
                for chunk in missing
            ]
        )
        await lexical.upstream.call(lambda: lexical.index.upsert(namespace, found), lexical.delete_limits)


async def _embedded(chunks: Sequence[Chunk], reader: Reader) -> tuple[list[Vector], Usage]:
    texts = [_embeddable(chunk) for chunk in chunks]
    embedder = reader.embedder
    embedded = await reader.upstream.call(lambda: embedder.embed_documents(texts), reader.store_limits)
    embedded = checked(embedded, embedding=embedder.id, count=len(texts), dimension=embedder.dimension)
    return embedded.vectors, embedded.usage


def _embeddable(chunk: Chunk) -> str:
    return f"{chunk.heading[:HEADING_EMBEDDED]}\n{chunk.text}" if chunk.heading else chunk.text
