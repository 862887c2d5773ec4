"""Who syncs a source. The row decides, by the database's clock, as with documents; a job is only a reminder."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, JSONField, Q, QuerySet, Value, When
from django.db.models.functions import Now

from backend.core import jobs
from backend.sources.models import Source, SourceState

SYNC = "sources.sync"
ERASE = "sources.erase"


class LostClaim(Exception):
    """The source is no longer ours: it was paused, deleted, or taken over. Stop, and write nothing."""


class Draining(Exception):
    """This process is about to stop: hand the source back."""


class TurnOver(Exception):
    """Others wait for this worker: hand the source back, to go on from its cursor in its next turn."""


@dataclass(frozen=True, slots=True)
class Claim:
    source_id: UUID
    fence: int


def queue(rows: QuerySet[Source], source_id: UUID, **fields: Any) -> bool:
    """A run, or the rest of one, if `rows` still holds the source: what went wrong before is told no more. Inside a
    transaction."""
    nothing_told = {"failures": 0, "error_code": "", "error_message": "", "error_hint": ""}
    queued = rows.update(
        state=SourceState.QUEUED, lease_until=None, wake_at=None, updated_at=Now(), **nothing_told, **fields
    )
    if queued:
        wake(source_id)
    return bool(queued)


def take(source_id: UUID) -> Claim | None:
    """Begins a run, or goes on with one. None where there is nothing to do, it is too early, or somebody has it."""
    due = Q(state=SourceState.QUEUED) & (Q(wake_at=None) | Q(wake_at__lte=Now()))
    abandoned = Q(state=SourceState.SYNCING, lease_until__lt=Now())
    begins = Q(cursor__isnull=True)
    with transaction.atomic():
        taken = Source.objects.live().filter(due | abandoned, pk=source_id).update(
            state=SourceState.SYNCING,
            fence=F("fence") + 1,
            lease_until=Now() + settings.INGEST_LEASE,
            wake_at=None,
            run=_if(begins, F("run") + 1, "run"),
            started_at=_if(begins, Now(), "started_at"),
            counts=_if(begins, Value({}, JSONField()), "counts"),
            cursor=_if(begins, Value({}, JSONField()), "cursor"),
            updated_at=Now(),
        )  # fmt: skip
        if not taken:
            return None
        return Claim(source_id, Source.objects.values_list("fence", flat=True).get(pk=source_id))


def _if(condition: Q, value: Any, column: str) -> Case:
    """The column's new value where the condition holds, and its old one elsewhere."""
    field: Any = Source._meta.get_field(column)  # noqa: SLF001 - Django's documented API
    return Case(When(condition, then=value), default=F(column), output_field=field)


def write(claim: Claim, **fields: Any) -> None:
    """Raises LostClaim. Inside a transaction it also keeps everyone else from taking the source until the end."""
    held = Source.objects.filter(pk=claim.source_id, fence=claim.fence, state=SourceState.SYNCING)
    if not held.update(updated_at=Now(), **fields):
        raise LostClaim


def release(claim: Claim, **fields: Any) -> None:
    """Hand it back, to be taken up by whoever comes to it."""
    with transaction.atomic():
        write(claim, state=SourceState.QUEUED, lease_until=None, **fields)
        wake(claim.source_id)


def postpone(claim: Claim, *, delay: timedelta, **fields: Any) -> None:
    """Hand it back, to be taken up again after `delay`."""
    with transaction.atomic():
        write(claim, state=SourceState.QUEUED, lease_until=None, wake_at=Now() + delay, **fields)
        wake(claim.source_id, delay=delay)


def withdraw(claim: Claim) -> None:
    """Tell a deletion that waits for our lease to end that we have stopped."""
    with transaction.atomic():
        waiting = Source.objects.filter(pk=claim.source_id, state=SourceState.DELETING, fence=claim.fence + 1)
        if waiting.update(lease_until=None):
            jobs.enqueue(ERASE, source_id=str(claim.source_id))


def wake(source_id: UUID, *, delay: timedelta | None = None) -> None:
    """At most one job per source waits, and one for later."""
    lock = f"{SYNC}:{source_id}" + (":later" if delay else "")
    jobs.enqueue(SYNC, queueing_lock=lock, delay=delay, source_id=str(source_id))
