from uuid import UUID

from django.conf import settings
from procrastinate.contrib.django import app

from backend.core.jobs import every
from backend.sources import claims, erasure, sweeping, syncing


# In a queue of its own: it spends its time waiting for other people's servers.
@app.task(name=claims.SYNC, queue=claims.SYNC)
def sync(*, source_id: str) -> None:
    syncing.sync(UUID(source_id))


@app.task(name=claims.ERASE)
def erase(*, source_id: str) -> None:
    erasure.erase(UUID(source_id))


@app.periodic(cron=every(settings.SWEEP_SECONDS))
@app.task(name="sources.sweep", queueing_lock="sources.sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001 - what the scheduler hands over
    sweeping.sweep()
