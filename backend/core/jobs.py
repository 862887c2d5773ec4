"""Background jobs: enqueued by name in the caller's own transaction, so a job exists exactly when its row does."""

import threading
from datetime import timedelta
from typing import Any

from django.db import transaction
from procrastinate import exceptions
from procrastinate.contrib.django import app

_MINUTE = 60

draining = threading.Event()  # set when this process was asked to stop: begin nothing more


def every(seconds: int) -> str:
    """The cron line of a periodic job; procrastinate's has the seconds as its sixth field, not its first."""
    return f"* * * * * */{seconds}" if seconds < _MINUTE else f"*/{seconds // _MINUTE} * * * *"


def enqueue(name: str, *, queueing_lock: str | None = None, delay: timedelta | None = None, **arguments: Any) -> None:
    """Ask the worker to run the task `name`. Arguments are ids: never a secret, never a document's text.

    With `queueing_lock`, at most one such job waits; asking again while it does is not an error.
    """
    schedule_in = {"seconds": delay.total_seconds()} if delay else None
    job = app.configure_task(name, queueing_lock=queueing_lock, schedule_in=schedule_in, allow_unknown=False)
    try:
        # A savepoint: the refusal of a second job with the same lock would otherwise break the caller's transaction.
        with transaction.atomic():
            job.defer(**arguments)
    except exceptions.AlreadyEnqueued:
        return
