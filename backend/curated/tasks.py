from uuid import UUID

from django.conf import settings
from procrastinate.contrib.django import app

from backend.core.jobs import every
from backend.curated import publishing


@app.task(name=publishing.PUBLISH)
def publish(*, book_id: str) -> None:
    publishing.publish(UUID(book_id))


@app.periodic(cron=every(settings.SWEEP_SECONDS))
@app.task(name="curated.publish_overdue", queueing_lock="curated.publish_overdue")
def publish_overdue(timestamp: int) -> None:  # noqa: ARG001 - what the scheduler hands over
    publishing.publish_overdue()
