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
from backend.bots.models import Bot
from backend.documents.claims import Draining, LostClaim
from backend.documents.models import Chunk, DocumentVersion

IN_FLIGHT = 3
LIST_PAGE = 1000

Ids = Sequence[UUID]


class NotErased(AgentError):
    """The vector store still has vectors that were to be deleted."""

    code = "vectors_remain"
    retryable = True


def embed(*, bot: Bot, version: DocumentVersion, ids: Ids, stored: Callable[[Ids], None]) -> None:
    """Embeds these chunks in batches, a few at a time; `stored` is called, in this thread, with each that is safe.

    After a failure, or when `stored` raises, no further batch is sent, but those on their way are waited for: what is
    sent is never left to arrive after a deletion.
    """
    batches = [ids[first : first + settings.EMBED_BATCH] for first in range(0, len(ids), settings.EMBED_BATCH)]
    async_to_sync(_embed_all)(_scope_of(bot), version, batches, stored)


async def _embed_all(
    scope: Scope, version: DocumentVersion, batches: Sequence[Ids], stored: Callable[[Ids], None]
) -> None:
    gate = asyncio.Semaphore(IN_FLIGHT)
    failures: list[Exception] = []

    async def one(agent: AgentClient, ids: Ids) -> None:
        async with gate:
            if failures:
                return
            try:
                await _embed_batch(agent, scope, version, ids)
                await sync_to_async(stored)(ids)
            except (AgentError, LostClaim, Draining) as exc:
                failures.append(exc)

    async with agent_client.connect() as agent:
        await asyncio.gather(*(one(agent, batch) for batch in batches))
    if failures:
        raise next((exc for exc in failures if isinstance(exc, LostClaim)), failures[0])


async def _embed_batch(agent: AgentClient, scope: Scope, version: DocumentVersion, ids: Ids) -> None:
    rows = Chunk.objects.filter(pk__in=ids).values_list("pk", "text", "document__title")
    chunks = {pk: (text, title) for pk, text, title in await sync_to_async(lambda: list(rows))()}
    if len(chunks) != len(ids):
        raise LostClaim  # they were erased under us
    request = contract.EmbedAndStoreRequest(
        embedding=version.embedding,
        document=version.document_id,
        version=version.pk,
        chunks=[contract.Chunk(id=pk, text=chunks[pk][0], heading=_heading(chunks[pk][1])) for pk in ids],
    )
    answer = await agent.embed_and_store(request, scope=scope)
    if answer.stored + answer.present != len(ids):
        raise AgentGarbage("The agent service stored another number of vectors than it was given chunks.")


def _heading(title: str) -> str:
    """The title in words: a file's name has other separators."""
    return " ".join(re.split(r"[\s_./\\-]+", title)).strip()


def erase(*, bot: Bot, document_id: UUID | None = None, version_id: UUID | None = None) -> None:
    """Forget a version's vectors, a document's, or the whole bot's; returns when the store was read back as empty of
    them. Raises NotErased."""
    request = contract.DeleteVectorsRequest(document=document_id, version=version_id)
    answer = async_to_sync(_delete)(request, _scope_of(bot))
    if answer.remaining:
        raise NotErased


async def _delete(request: contract.DeleteVectorsRequest, scope: Scope) -> contract.DeleteVectorsResponse:
    async with agent_client.connect() as agent:
        return await agent.delete_vectors(request, scope=scope)


def stored_in(bot: Bot) -> dict[UUID, contract.StoredVector]:
    """Everything the agent has of the bot, by chunk id."""
    return async_to_sync(_list)(_scope_of(bot))


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


def _scope_of(bot: Bot) -> Scope:
    return Scope(user=bot.owner_id, bot=bot.pk, namespace=bot.namespace)
