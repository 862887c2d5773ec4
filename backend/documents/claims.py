"""Who works on a document. The row decides, by the database's clock; a job in the queue is only a reminder.

A claim raises the row's fence. Every write of a worker names its fence and state, so one that was overtaken, paused
or outlived by a deletion writes nothing: it learns that by `LostClaim`.
"""

import threading
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from backend.core import jobs
from backend.documents.models import Document, Stage, State

INGEST = "documents.ingest"
ERASE = "documents.erase_document"
CONFIRM = "documents.confirm_erasure"

draining = threading.Event()  # set when this process was asked to stop


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


def take(document_id: UUID) -> Claim | None:
    """None where there is nothing to do, it is too early, or somebody else has it."""
    due = Q(state=State.QUEUED) & (Q(wake_at=None) | Q(wake_at__lte=Now()))
    abandoned = Q(state=State.PROCESSING, lease_until__lt=Now())
    with transaction.atomic():
        taken = Document.objects.filter(due | abandoned, pk=document_id).update(
            state=State.PROCESSING,
            fence=F("fence") + 1,
            attempt=F("attempt") + 1,
            lease_until=Now() + settings.INGEST_LEASE,
            wake_at=None,
            updated_at=Now(),
        )
        if not taken:
            return None
        return Claim(document_id, *Document.objects.values_list("fence", "bot", "bot__owner").get(pk=document_id))


def write(claim: Claim, **fields: Any) -> None:
    """Raises LostClaim. Inside a transaction it also keeps everyone else from taking the document until the end."""
    held = Document.objects.filter(pk=claim.document_id, fence=claim.fence, state=State.PROCESSING)
    if not held.update(updated_at=Now(), **fields):
        raise LostClaim


def renew(claim: Claim) -> None:
    write(claim, lease_until=Now() + settings.INGEST_LEASE)


def release(claim: Claim) -> None:
    """Hand it back, to be taken up by another process at once."""
    with transaction.atomic():
        write(claim, state=State.QUEUED, stage=Stage.NONE, lease_until=None)
        wake(claim.document_id)


def postpone(claim: Claim, *, delay: timedelta, **fields: Any) -> None:
    """Hand it back, to be taken up again after `delay`."""
    with transaction.atomic():
        write(claim, state=State.QUEUED, stage=Stage.NONE, lease_until=None, wake_at=Now() + delay, **fields)
        wake(claim.document_id, delay=delay)


def withdraw(claim: Claim) -> None:
    """Tell a deletion that waits for our lease to end that we have stopped. One that did not wait, because we slept
    longer than our lease, is to look again: what we sent after waking came too late."""
    with transaction.atomic():
        waiting = Document.objects.filter(pk=claim.document_id, state=State.DELETING, fence=claim.fence + 1)
        if waiting.update(lease_until=None):
            jobs.enqueue(ERASE, document_id=str(claim.document_id))
        elif not Document.objects.filter(pk=claim.document_id).exists():
            confirm_erasure(bot_id=claim.bot_id, owner_id=claim.owner_id, document_id=claim.document_id)


def confirm_erasure(*, bot_id: UUID, owner_id: UUID, document_id: UUID | None, delay: timedelta | None = None) -> None:
    """Ask for the vectors of a document, or of a whole bot, to be erased though their rows are gone."""
    document = str(document_id) if document_id else None
    jobs.enqueue(CONFIRM, delay=delay, bot_id=str(bot_id), owner_id=str(owner_id), document_id=document)


def wake(document_id: UUID, *, delay: timedelta | None = None) -> None:
    """At most one job per document waits, and one for later, which must not keep a person's own retry waiting."""
    lock = f"{INGEST}:{document_id}" + (":later" if delay else "")
    jobs.enqueue(INGEST, queueing_lock=lock, delay=delay, document_id=str(document_id))


class Heartbeat:
    """Renews the lease while the block runs; `check` tells the block whether to go on."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {claim.document_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises LostClaim or Draining."""
        if self._lost.is_set():
            raise LostClaim
        if draining.is_set():
            raise Draining

    def _beat(self) -> None:
        try:
            while not self._stop.wait(settings.INGEST_HEARTBEAT.total_seconds()):
                self._renew()
        finally:
            connection.close()

    def _renew(self) -> None:
        try:
            renew(self._claim)
        except LostClaim:
            self._lost.set()
        except DatabaseError:
            # Not known to be lost: the next beat tells, or the worker's own write, which names the fence as well.
            connection.close()
