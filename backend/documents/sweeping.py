"""The last word on everything that got stuck: reads the rows, and enqueues what should be under way and is not."""

import logging
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db import Error as DatabaseError
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from procrastinate import exceptions
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.jobs import Job, Status

from backend.bots import indexes
from backend.bots.models import Bot
from backend.core import jobs
from backend.documents import builds, claims, corrections, indexing, turns
from backend.documents.erasure import ERASE_BOT, ERASE_USER
from backend.documents.models import Chunk, Document, State, VersionState
from backend.users.models import User

logger = logging.getLogger(__name__)

STALLED_SECONDS = 30.0
BATCH = 1000
ENOUGH = 32
"""Reminders of documents that may wait at once."""


def sweep() -> None:
    """One row that cannot be helped does not keep the others waiting."""
    _each(_unfinished(), claims.wake)
    _each(_doomed(), _remind(claims.ERASE, "document_id"))
    _each(_of_retired_versions(), _remind(claims.RETIRE, "document_id"))
    _each(corrections.unfinished(), _remind(corrections.EMBED, "document_id"))
    _each(builds.unfinished(), _remind(indexes.BUILD, "build_id"))
    _each(indexing.obsolete(), _remind(indexes.FORGET, "build_id"))
    _each(_ids(Bot.objects.exclude(deleted_at=None)), _remind(ERASE_BOT, "bot_id"))
    _each(_ids(User.objects.exclude(deleted_at=None)), _remind(ERASE_USER, "user_id"))
    _each(async_to_sync(app.job_manager.get_stalled_jobs)(seconds_since_heartbeat=STALLED_SECONDS), _revive)


def _ids(rows: QuerySet[Any]) -> Iterable[UUID]:
    return list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])


def _unfinished() -> Iterable[UUID]:
    """Due, and without a reminder; as many as make for enough of them, since each job goes on until nothing is due."""
    waiting = ProcrastinateJob.objects.filter(task_name=claims.INGEST, status="todo", scheduled_at=None)
    reminded = set(waiting.values_list("args__document_id", flat=True)[:ENOUGH])
    due = [pk for pk in _ids(Document.objects.filter(turns.due())) if str(pk) not in reminded]
    return due[: ENOUGH - len(reminded)]


def _doomed() -> Iterable[UUID]:
    due = Q(wake_at=None) | Q(wake_at__lte=Now())
    free = Q(lease_until=None) | Q(lease_until__lte=Now())
    return _ids(Document.objects.filter(due, free, state=State.DELETING))


def _of_retired_versions() -> Iterable[UUID]:
    chunks = Chunk.objects.filter(version__state=VersionState.RETIRED).exclude(document__state=State.DELETING)
    return list(chunks.order_by().values_list("document_id", flat=True).distinct()[:BATCH])


def _remind(task: str, argument: str) -> Callable[[UUID], None]:
    """At most one reminder of each thing waits."""

    def remind(pk: UUID) -> None:
        arguments: dict[str, Any] = {argument: str(pk)}
        jobs.enqueue(task, queueing_lock=f"{task}:{pk}", **arguments)

    return remind


def _revive(job: Job) -> None:
    """A killed worker's job stays "doing" for ever. Run again; or forget it where one like it waits already."""
    manager = app.job_manager
    try:
        async_to_sync(manager.retry_job)(job)
    except (exceptions.AlreadyEnqueued, exceptions.ConnectorException):
        async_to_sync(manager.finish_job)(job, status=Status.FAILED, delete_job=True)


def _each(things: Iterable[Any], treat: Callable[[Any], None]) -> None:
    for thing in things:
        try:
            treat(thing)
        except (DatabaseError, exceptions.ProcrastinateException):
            logger.exception("sweeping %s", thing)
