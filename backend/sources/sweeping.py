"""The last word on every source that got stuck, and the clock of those that have a schedule."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import ProcrastinateException

from backend.core import jobs
from backend.sources import claims
from backend.sources.models import AT_REST, Extent, Host, Source, SourceState

logger = logging.getLogger(__name__)

BATCH = 1000
HOST_MEMORY = timedelta(hours=1)


def sweep() -> None:
    """One row that cannot be helped does not keep the others waiting."""
    _each(_ids(_due()), _begin)
    _each(_unfinished(), claims.wake)
    _each(_ids(_doomed()), _remind)
    Host.objects.filter(free_at__lt=Now() - HOST_MEMORY).delete()


def _due() -> QuerySet[Source]:
    due: QuerySet[Source] = Source.objects.live().filter(state__in=AT_REST, paused=False, next_sync_at__lte=Now())
    return due


def _begin(source_id: UUID) -> None:
    with transaction.atomic():
        claims.queue(_due().filter(pk=source_id), source_id, extent=Extent.USUAL, next_sync_at=None)


def _unfinished() -> Iterable[UUID]:
    """Queued and due, or left by whoever had it; without those that a waiting job will come to."""
    due = Q(state=SourceState.QUEUED) & (Q(wake_at=None) | Q(wake_at__lte=Now()))
    abandoned = Q(state=SourceState.SYNCING, lease_until__lt=Now())
    waiting = ProcrastinateJob.objects.filter(task_name=claims.SYNC, status="todo", scheduled_at=None)
    reminded = set(waiting.values_list("args__source_id", flat=True))
    return [pk for pk in _ids(Source.objects.live().filter(due | abandoned)) if str(pk) not in reminded]


def _doomed() -> QuerySet[Source]:
    free = Q(lease_until=None) | Q(lease_until__lte=Now())
    return Source.objects.filter(free, state=SourceState.DELETING)


def _remind(source_id: UUID) -> None:
    jobs.enqueue(claims.ERASE, queueing_lock=f"{claims.ERASE}:{source_id}", source_id=str(source_id))


def _ids(rows: QuerySet[Any]) -> list[UUID]:
    return list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])


def _each(ids: Iterable[UUID], treat: Callable[[UUID], None]) -> None:
    for pk in ids:
        try:
            treat(pk)
        except (DatabaseError, ProcrastinateException):
            logger.exception("sweeping source %s", pk)
