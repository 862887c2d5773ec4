"""Vectors in Pinecone over langchain-pinecone: a namespace per bot, metadata `document` and `version`, no text.

Pinecone's reads lag behind its writes. Every write is answered with a log sequence number of its namespace, and a
query says up to which number it saw. `count` and `listing`, which prove things, therefore wait until the reads have
caught up with the last write made from here, and raise where they do not within the time limit: a count of 0 is never
a stale one. `present` and `search` do not wait: what they miss is embedded once more, or not found yet. Writes of
other processes are not waited for, and an index that tells no numbers (the older, pod-based kind) is taken at its
word. A query sees at most 10,000 vectors: larger counts are told as 10,000.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from agent_service.contract import StoredVector
from agent_service.errors import UpstreamError
from agent_service.ports import Found, StoredChunk, Vector
from agent_service.providers.batches import few_at_a_time
from agent_service.providers.pinecone_index import SEEN, UPSTREAM, WRITTEN, PineconeIndex
from agent_service.settings import Settings

FETCH_IDS = 100
LIST_IDS = 100
MAX_MATCHES = 10_000
UPSERT_NUMBERS = 75_000
"""Numbers in one upsert: at up to 25 bytes each they stay under the 2 MB that a request may have."""
UPSERT_CHUNKS = 100
CALLS_IN_FLIGHT = 4
MOST_NAMESPACES = 100
NAMESPACES_IN_FLIGHT = 8

REMEMBERED = 10_000
FRESHNESS_POLL_SECONDS = 0.1

Filter = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _LastWrite:
    lsn: int
    deletes: bool


class PineconeStore:
    most_namespaces: int | None = MOST_NAMESPACES
    at_once: int | None = None

    def __init__(self, settings: Settings, dimension: int | None = None) -> None:
        self._index = PineconeIndex(settings, dimension)
        self._patience = settings.vector_seconds
        self._written: OrderedDict[str, _LastWrite] = OrderedDict()
        self._pages: OrderedDict[tuple[str, UUID], str | None] = OrderedDict()

    async def present(self, namespace: str, ids: Sequence[UUID]) -> set[UUID]:
        name = _checked(namespace)
        fetch = partial(self._fetched, name)
        found = await few_at_a_time(fetch, ids, size=FETCH_IDS, limit=CALLS_IN_FLIGHT)
        return {vector.chunk for part in found for vector in part}

    async def upsert(self, namespace: str, chunks: Sequence[StoredChunk]) -> None:
        name = _checked(namespace)
        if not chunks:
            return
        size = max(1, min(UPSERT_CHUNKS, UPSERT_NUMBERS // len(chunks[0].vector)))
        lsns = await few_at_a_time(partial(self._upsert, name), chunks, size=size, limit=CALLS_IN_FLIGHT)
        self._note_write(name, max(lsns), deletes=False)

    async def search(
        self, namespace: str, vector: Vector, limit: int, documents: Collection[UUID] | None = None
    ) -> list[Found]:
        name = _checked(namespace)
        if documents is not None and not documents:
            return []  # the vendor refuses a choice of none
        chosen = None if documents is None else {"document": {"$in": [str(one) for one in documents]}}
        find = (await self._index.store()).similarity_search_by_vector_with_score
        return await self._index.call(
            lambda: [
                Found(_bytes(found.id), _bytes(found.page_content), _bytes(found.metadata["version"]), score)
                for found, score in find(vector, k=limit, namespace=name, filter=chosen)
            ]
        )

    async def search_many(
        self, namespaces: Sequence[str], vector: Vector, limit: int, documents: Collection[UUID] | None = None
    ) -> list[Found]:
        """A query is of one namespace: only the first MOST_NAMESPACES are asked, a few at a time."""

        async def asked(names: Sequence[str]) -> list[Found]:
            return await self.search(names[0], vector, limit, documents)

        lists = await few_at_a_time(asked, namespaces[:MOST_NAMESPACES], size=1, limit=NAMESPACES_IN_FLIGHT)
        hits = [hit for found in lists for hit in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk))[:limit]

    async def delete(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int:
        """As many as a query saw before; the proof is a `count` afterwards. Deletes by filter, which the vendor does
        in the order of its log, so that it also takes what was written before and cannot be seen yet."""
        name = _checked(namespace)
        wanted = _filter(document, version, keep_version)
        seen, _ = await self._counted(name, wanted)
        index = (await self._index.store()).index
        what = {"filter": wanted} if wanted else {"delete_all": True}
        try:
            lsn = await self._write(lambda: index.delete(namespace=name, **what))
        except UpstreamError as error:
            if error.upstream_status != 404:
                raise
            return 0  # no such namespace: nothing was ever written, or nothing is left
        self._note_write(name, lsn, deletes=True)
        return seen

    async def count(
        self, namespace: str, document: UUID | None, version: UUID | None, keep_version: UUID | None
    ) -> int:
        return await self._fresh(_checked(namespace), _filter(document, version, keep_version))

    async def listing(self, namespace: str, after: UUID | None, limit: int) -> list[StoredVector]:
        """Pinecone lists ids in ascending order and pages by a token. The token of the page that held `after` is
        remembered; where it is not (another process, long ago) the listing starts over and skips."""
        name = _checked(namespace)
        if after is None:
            await self._fresh(name, None)
        token = self._pages.get((name, after)) if after else None
        found: list[StoredVector] = []
        while True:
            ids, following = await self._list_page(name, token)
            wanted = [known for known in ids if after is None or known > after][: limit - len(found)]
            if wanted:
                found += sorted(await self._fetched(name, wanted), key=lambda vector: vector.chunk)
                _remember(self._pages, (name, wanted[-1]), token)
            if following is None or len(found) >= limit:
                return found
            token = following

    async def namespaces(self, prefix: str) -> list[str]:
        """From the index's statistics, which may lag behind; the default namespace is nobody's."""
        index = (await self._index.store()).index
        names = await self._index.call(lambda: list(index.describe_index_stats().namespaces))
        return [name for name in names if name.startswith(prefix) and name not in ("", "__default__")]

    async def check(self) -> None:
        """Raises UpstreamError where the index cannot be reached or is not there."""
        await self._index.check()

    async def aclose(self) -> None:
        self._index.close()

    async def _upsert(self, name: str, chunks: Sequence[StoredChunk]) -> int:
        vectors = [
            {
                "id": str(chunk.id),
                "values": [float(value) for value in chunk.vector],
                "metadata": {"document": str(chunk.document), "version": str(chunk.version)},
            }
            for chunk in chunks
        ]
        index = (await self._index.store()).index

        def upserted() -> None:
            # Unchecked, because the SDK's own check of every number takes most of the time and finds nothing here.
            answer = index.upsert(vectors=vectors, namespace=name, _check_type=False)
            if answer.upserted_count != len(vectors):
                raise ValueError("not all vectors were taken")

        return await self._write(upserted)

    async def _fetched(self, name: str, ids: Sequence[UUID]) -> list[StoredVector]:
        index = (await self._index.store()).index
        return await self._index.call(
            lambda: [
                StoredVector(chunk=known, document=found.metadata["document"], version=found.metadata["version"])
                for known, found in index.fetch(ids=[str(one) for one in ids], namespace=name).vectors.items()
            ]
        )

    async def _list_page(self, name: str, token: str | None) -> tuple[list[UUID], str | None]:
        index = (await self._index.store()).index

        def page() -> tuple[list[UUID], str | None]:
            answer = index.list_paginated(namespace=name, limit=LIST_IDS, pagination_token=token)
            ids = [UUID(vector.id) for vector in answer.vectors]
            if ids != sorted(ids):
                raise ValueError("ids are listed out of order")
            return ids, answer.pagination.next if answer.pagination else None

        return await self._index.call(page)

    async def _write(self, work: Callable[[], Any]) -> int:
        """The number of the write, 0 where the index tells none."""

        def written() -> int:
            work()
            return self._index.lsn(WRITTEN) or 0

        return await self._index.call(written)

    def _note_write(self, name: str, lsn: int, *, deletes: bool) -> None:
        """The last number and not the highest: a namespace that was emptied and filled again counts from the
        beginning."""
        _remember(self._written, name, _LastWrite(lsn, deletes))

    async def _counted(self, name: str, wanted: Filter | None) -> tuple[int, int | None]:
        """How many a query sees, and the number of the last write it has seen."""
        index, probe = (await self._index.store()).index, await self._index.probe()

        def matches() -> tuple[int, int | None]:
            answer = index.query(vector=probe, top_k=MAX_MATCHES, namespace=name, filter=wanted)
            return len(answer.matches), self._index.lsn(SEEN)

        return await self._index.call(matches)

    async def _fresh(self, name: str, wanted: Filter | None) -> int:
        """The count of a query that has seen this process's last write. Raises UpstreamError where none does in
        time."""
        give_up = asyncio.get_running_loop().time() + self._patience
        while True:
            count, seen = await self._counted(name, wanted)
            last = self._written.get(name)
            if last is None or seen is None or seen >= last.lsn:
                return count
            if count == 0 and last.deletes and await self._is_gone(name):
                return 0
            if asyncio.get_running_loop().time() > give_up:
                raise UpstreamError("timeout", UPSTREAM, "Pinecone's reads have not caught up with its writes.")
            await asyncio.sleep(FRESHNESS_POLL_SECONDS)

    async def _is_gone(self, name: str) -> bool:
        """A namespace ends with its last vector, and its numbers with it."""
        index = (await self._index.store()).index
        return await self._index.call(lambda: name not in index.describe_index_stats().namespaces)


def _checked(namespace: str) -> str:
    """The empty namespace is Pinecone's default one, which is nobody's."""
    if not namespace.strip() or namespace == "__default__":
        raise ValueError("a namespace is needed")
    return namespace


def _bytes(told: object) -> bytes:
    """Raises ValueError: ids of ours are UUIDs."""
    return UUID(str(told)).bytes


def _filter(document: UUID | None, version: UUID | None, keep_version: UUID | None) -> Filter | None:
    conditions: list[Filter] = []
    if document:
        conditions.append({"document": {"$eq": str(document)}})
    if version:
        conditions.append({"version": {"$eq": str(version)}})
    if keep_version:
        conditions.append({"version": {"$ne": str(keep_version)}})
    if len(conditions) > 1:
        return {"$and": conditions}
    return conditions[0] if conditions else None


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
