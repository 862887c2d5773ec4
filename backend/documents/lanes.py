"""What a worker process does side by side: what takes long keeps its like waiting, and nothing else."""

from django.conf import settings
from procrastinate.contrib.django import app

from backend.bots import indexes
from backend.documents import claims

SYNC = "sources.sync"  # of an app above this one

Lane = tuple[list[str], int]
"""Queues, and how many of their jobs are done at once."""


def lanes() -> list[Lane]:
    long = {claims.INGEST: settings.WORKER_CONCURRENCY, SYNC: settings.SYNC_CONCURRENCY, indexes.BUILD: 1}
    others = {task.queue for task in app.tasks.values()} - long.keys()
    return [*(([queue], at_once) for queue, at_once in long.items()), (sorted(others), settings.WORKER_CONCURRENCY)]


def processes(beating: int) -> int:
    """How many there are where so many lanes give a sign: each lane of a process does, each in its own rhythm."""
    return -(-beating // len(lanes()))
