"""What the database need not remember for ever."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from procrastinate.contrib.django import app

from backend.core.models import IdempotencyRecord, RateCounter

LONGEST_WINDOW = timedelta(days=1)


@app.periodic(cron="17 * * * *")
@app.task(name="core.forget_the_past", queueing_lock="core.forget_the_past")
def forget_the_past(timestamp: int) -> None:  # noqa: ARG001 - procrastinate tells when it was due
    """Answers kept for their Idempotency-Key, counters of windows long over, browser sessions that ended."""
    IdempotencyRecord.objects.filter(created_at__lt=Now() - settings.IDEMPOTENCY_LIFETIME).delete()
    RateCounter.objects.filter(window__lt=Now() - 2 * LONGEST_WINDOW).delete()
    Session.objects.filter(expire_date__lt=Now()).delete()
