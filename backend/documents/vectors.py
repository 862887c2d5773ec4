"""What this app asks of the agent: to embed chunks, to forget them, to say which it has. Raises AgentError."""

import asyncio
import re
from collections.abc import Callable, Sequence
from uuid import UUID

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings

from agent_service import contract
from backend import agent_client
from backend.agent_client import AgentClient, AgentError, AgentGarbage, Scope
from backend.bots.models import Index
from backend.documents.claims import Draining, LostClaim
from backend.documents.models import Chunk

IN_FLIGHT = 3
LIST_PAGE = 1000
HEADING_CHARS = 500

Ids = Sequence[UUID]


class NotErased(AgentError):
    """The vector store still has vectors that were to be deleted."""

    code = "vectors_remain"
    retryable = True


def embed(*, index: Index, ids: Ids, stored: Callable[[Ids], None]) -> None:
    """Embeds these chunks, of one or several documents, in batches, a few at a time; `stored` is called, in this
    thread, with each that is safe.

    After a failure, or when `stored` raises, no further batch is sent, but those on their way are waited for: what is
    sent is never left to arrive after a deletion.
    """
    batches = [ids[first : first + settings.EMBED_BATCH] for first in range(0, len(ids), settings.EMBED_BATCH)]
    async_to_sync(_embed_all)(index, batches, stored)


async def _embed_all(index: Index, batches: Sequence[Ids], stored: Callable[[Ids], None]) -> None:
    gate = asyncio.Semaphore(IN_FLIGHT)
    failures: list[Exception] = []

    async def one(agent: AgentClient, ids: Ids) -> None:
        async with gate:
            if failures:
                return
            try:
                await _embed_batch(agent, index, ids)
                await sync_to_async(stored)(ids)
            except (AgentError, LostClaim, Draining) as exc:
                failures.append(exc)

    async with agent_client.connect() as agent:
        await asyncio.gather(*(one(agent, batch) for batch in batches))
    if failures:
        raise next((exc for exc in failures if isinstance(exc, LostClaim)), failures[0])


async def _embed_batch(agent: AgentClient, index: Index, ids: Ids) -> None:
    chunks = await sync_to_async(_to_embed)(ids)
    if len(chunks) != len(ids):
        raise LostClaim  # some were erased under us
    request = contract.EmbedAndStoreRequest(embedding=index.embedding, chunks=chunks)
    answer = await agent.embed_and_store(request, scope=_scope_of(index))
    if answer.stored + answer.present != len(ids):
        raise AgentGarbage("The agent service stored another number of vectors than it was given chunks.")


def _to_embed(ids: Ids) -> list[contract.Chunk]:
    rows = Chunk.objects.filter(pk__in=ids).order_by("document", "position")
    return [
        contract.Chunk(id=pk, document=document, version=version, text=text, heading=_heading(title, path))
        for pk, document, version, text, title, path in rows.values_list(
            "pk", "document", "version", "text", "document__title", "heading"
        )
    ]


def _heading(title: str, path: str) -> str:
    """The title in words, as a file's name has other separators, and the headings that the passage stands under."""
    words = " ".join(re.split(r"[\s_./\\-]+", title)).strip()
    return f"{words} > {path}"[:HEADING_CHARS] if path else words


def erase(
    *, index: Index, document_id: UUID | None = None, version_id: UUID | None = None
) -> contract.DeleteVectorsResponse:
    """Forget a version's vectors, a document's, or the whole index's; returns when the store was read back as empty of
    them. Raises NotErased."""
    request = contract.DeleteVectorsRequest(document=document_id, version=version_id)
    answer = async_to_sync(_delete)(request, _scope_of(index))
    if answer.remaining:
        raise NotErased
    return answer


async def _delete(request: contract.DeleteVectorsRequest, scope: Scope) -> contract.DeleteVectorsResponse:
    async with agent_client.connect() as agent:
        return await agent.delete_vectors(request, scope=scope)


def stored_in(index: Index) -> dict[UUID, contract.StoredVector]:
    """Everything the agent has in the index, by chunk id."""
    return async_to_sync(_list)(_scope_of(index))


async def _list(scope: Scope) -> dict[UUID, contract.StoredVector]:
    found: dict[UUID, contract.StoredVector] = {}
    after: UUID | None = None
    async with agent_client.connect() as agent:
        while True:
            request = contract.ListVectorsRequest(after=after, limit=LIST_PAGE)
            answer = await agent.list_vectors(request, scope=scope)
            found |= {vector.chunk: vector for vector in answer.vectors}
            if answer.next is None:
                return found
            after = answer.next


def namespaces(prefix: str = "") -> list[str]:
    """The names of all that hold anything at the agent, whoever they belong to."""
    return async_to_sync(_namespaces)(prefix)


async def _namespaces(prefix: str) -> list[str]:
    found: list[str] = []
    after = ""
    async with agent_client.connect() as agent:
        while True:
            answer = await agent.list_namespaces(contract.ListNamespacesRequest(prefix=prefix, after=after))
            found += answer.namespaces
            if answer.next is None:
                return found
            after = answer.next


def _scope_of(index: Index) -> Scope:
    return Scope(user=index.owner_id, bot=index.pk, namespace=index.namespace)
