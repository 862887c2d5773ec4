"""Who works on a document. The row decides, by the database's clock; a job in the queue is only a reminder.

A claim raises the row's fence. Every write of a worker names its fence and state, so one that was overtaken, paused
or outlived by a deletion writes nothing: it learns that by `LostClaim`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from backend.core import jobs
from backend.core.jobs import draining
from backend.documents import turns
from backend.documents.models import Document, DocumentVersion, Stage, State, VersionState
from backend.documents.turns import ahead

__all__ = ["ahead", "draining"]

INGEST = "documents.ingest"
ERASE = "documents.erase_document"
CONFIRM = "documents.confirm_erasure"
RETIRE = "documents.retire_versions"
AGAIN = timedelta(seconds=1)

_LOCK = """
    SELECT document.id FROM documents_document AS document
    JOIN unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS ours(id, fence)
        ON document.id = ours.id AND document.fence = ours.fence
    WHERE document.state = %(state)s
    ORDER BY document.id FOR UPDATE OF document
"""
_FORGET_WAKES = """
    DELETE FROM procrastinate_jobs WHERE id IN (
        SELECT id FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = ANY(%s) FOR UPDATE SKIP LOCKED
    )
"""
_FORGET_WAKES_OF_OWNERS = """
    DELETE FROM procrastinate_jobs WHERE id IN (
        SELECT job.id FROM procrastinate_jobs job
        JOIN documents_document document ON document.id = (job.args ->> 'document_id')::uuid
        JOIN bots_bot bot ON bot.id = document.bot_id
        WHERE job.task_name = %s AND job.status = 'todo' AND job.scheduled_at IS NULL AND bot.owner_id = ANY(%s)
        FOR UPDATE OF job SKIP LOCKED
    )
    RETURNING args ->> 'document_id'
"""


class LostClaim(Exception):
    """The document is no longer ours: stop, and write nothing."""


class Draining(Exception):
    """This process is about to stop: hand the document back."""


@dataclass(frozen=True, slots=True)
class Claim:
    document_id: UUID
    fence: int
    bot_id: UUID
    owner_id: UUID


def queue(rows: QuerySet[Document], document_id: UUID) -> bool:
    """From the beginning, if `rows` still holds the document. Inside a transaction."""
    queued = rows.update(
        state=State.QUEUED,
        stage=Stage.NONE,
        lease_until=None,
        wake_at=None,
        attempt=0,
        failures=0,
        parser_crashes=0,
        pages_done=0,
        pages_total=None,
        chunks_done=0,
        chunks_total=None,
        error_code="",
        error_message="",
        error_hint="",
        updated_at=Now(),
    )
    if queued:
        wake(document_id)
    return bool(queued)


def take(*, without_owners: Collection[UUID] = (), without: Collection[UUID] = ()) -> list[Claim]:
    """The next document whose turn it is, or several small ones of one bot; empty where there is nothing to do. What
    would remind of them is forgotten: they are in work."""
    with transaction.atomic():
        for owner in turns.owners_in_turn(without_owners=without_owners, without=without):
            if chosen := turns.lock_batch(owner, without=without):
                turns.served(owner)
                return _take(chosen, owner)
    return []


def _take(chosen: Sequence[UUID], owner: UUID) -> list[Claim]:
    """Inside the transaction that has locked them."""
    rows = Document.objects.filter(pk__in=chosen)
    rows.update(
        state=State.PROCESSING,
        fence=F("fence") + 1,
        attempt=F("attempt") + 1,
        lease_until=Now() + settings.INGEST_LEASE,
        wake_at=None,
        updated_at=Now(),
    )
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_WAKES, [[lock for pk in chosen for lock in (_lock(pk), _lock(pk, later=True))]])
    taken = {pk: Claim(pk, fence, bot, owner) for pk, fence, bot in rows.values_list("pk", "fence", "bot")}
    return [taken[pk] for pk in chosen]


def lock(claims: Iterable[Claim]) -> list[Claim]:
    """Those that are still held, which nobody can take or delete until the end of the transaction."""
    claims = list(claims)
    ids, fences = [claim.document_id for claim in claims], [claim.fence for claim in claims]
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"ids": ids, "fences": fences, "state": State.PROCESSING.value})
        held = {row[0] for row in cursor.fetchall()}
    return [claim for claim in claims if claim.document_id in held]


def write(claim: Claim, **fields: Any) -> None:
    """Raises LostClaim. Inside a transaction it also keeps everyone else from taking the document until the end."""
    held = Document.objects.filter(pk=claim.document_id, fence=claim.fence, state=State.PROCESSING)
    if not held.update(updated_at=Now(), **fields):
        raise LostClaim


def renew(claims: Sequence[Claim]) -> list[Claim]:
    """Returns those that are still held."""
    with transaction.atomic():
        held = lock(claims)
        _rows(held).update(lease_until=Now() + settings.INGEST_LEASE, updated_at=Now())
    return held


def _rows(claims: Iterable[Claim]) -> QuerySet[Document]:
    rows: QuerySet[Document] = Document.objects.filter(pk__in=[claim.document_id for claim in claims])
    return rows


def release(claim: Claim) -> None:
    """Hand it back, to be taken up by another process at once."""
    with transaction.atomic():
        write(claim, state=State.QUEUED, stage=Stage.NONE, lease_until=None)
        wake(claim.document_id)


def untake(claims: Iterable[Claim]) -> None:
    """Hand them back as if they had not been taken."""
    with transaction.atomic():
        held = lock(claims)
        _rows(held).update(
            state=State.QUEUED, stage=Stage.NONE, lease_until=None, attempt=F("attempt") - 1, updated_at=Now()
        )
        for claim in held:
            wake(claim.document_id)


def postpone(claim: Claim, *, delay: timedelta, **fields: Any) -> None:
    """Hand it back, to be taken up again after `delay`."""
    with transaction.atomic():
        write(claim, state=State.QUEUED, stage=Stage.NONE, lease_until=None, wake_at=Now() + delay, **fields)
        wake(claim.document_id, delay=delay)


def cancel(document: Document) -> bool:
    """Stop what is waiting or under way; what serves goes on serving. False where there was nothing to stop. Inside a
    transaction."""
    under_way = Document.objects.filter(pk=document.pk, state__in=[State.QUEUED, State.PROCESSING, State.WAITING])
    # The lease stays: what its worker has sent is waited for before the vectors are erased.
    cancelled = under_way.update(
        state=State.CANCELLED,
        stage=Stage.NONE,
        fence=F("fence") + 1,
        wake_at=None,
        error_code="",
        error_message="",
        error_hint="",
        updated_at=Now(),
    )
    if cancelled:
        give_up(DocumentVersion.objects.filter(document=document.pk, state=VersionState.BUILDING))
    return bool(cancelled)


def give_up(building: QuerySet[DocumentVersion]) -> None:
    """Versions that were begun and are not wanted any more. Their vectors are erased, and once more when the last
    request of a killed worker must have ended at the agent. Inside a transaction."""
    documents = list(building.values_list("document", flat=True))
    building.update(state=VersionState.RETIRED)
    for pk in documents:
        jobs.enqueue(RETIRE, document_id=str(pk))
        late = settings.INGEST_LEASE + timedelta(seconds=settings.AGENT_INGEST_SECONDS)
        jobs.enqueue(RETIRE, delay=late, document_id=str(pk), again=True)


def withdraw(claim: Claim) -> None:
    """Tell a deletion or a cancellation that waits for our lease to end that we have stopped. One that did not wait,
    because we slept longer than our lease, or because the document was queued anew, is to look again: what we sent came
    too late."""
    with transaction.atomic():
        stopped = Document.objects.filter(pk=claim.document_id, fence=claim.fence + 1)
        if stopped.filter(state=State.DELETING).update(lease_until=None):
            jobs.enqueue(ERASE, document_id=str(claim.document_id))
        elif stopped.filter(state=State.CANCELLED).update(lease_until=None):
            jobs.enqueue(RETIRE, document_id=str(claim.document_id))
        elif not Document.objects.filter(pk=claim.document_id).exists():
            confirm_erasure(bot_id=claim.bot_id, owner_id=claim.owner_id, document_id=claim.document_id)
        else:
            jobs.enqueue(RETIRE, document_id=str(claim.document_id), again=True)


def confirm_erasure(*, bot_id: UUID, owner_id: UUID, document_id: UUID | None, delay: timedelta | None = None) -> None:
    """Ask for the vectors of a document, or of a whole bot, to be erased though their rows are gone."""
    document = str(document_id) if document_id else None
    jobs.enqueue(CONFIRM, delay=delay, bot_id=str(bot_id), owner_id=str(owner_id), document_id=document)


def wake(document_id: UUID, *, delay: timedelta | None = None) -> None:
    """At most one job per document waits, and one for later, which must not keep a person's own retry waiting."""
    jobs.enqueue(INGEST, queueing_lock=_lock(document_id, later=bool(delay)), delay=delay, document_id=str(document_id))


def _lock(document_id: UUID, *, later: bool = False) -> str:
    return f"{INGEST}:{document_id}" + (":later" if later else "")


def put_off(owners: Collection[UUID]) -> None:
    """Forget the reminders of owners whose documents we may not take now, or we would do nothing else; whoever has them
    in work goes on by himself, and one reminder comes again soon, for a process that may."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FORGET_WAKES_OF_OWNERS, [INGEST, list(owners)])
        if forgotten := cursor.fetchone():
            jobs.enqueue(INGEST, queueing_lock=f"{INGEST}:again", delay=AGAIN, document_id=forgotten[0])
