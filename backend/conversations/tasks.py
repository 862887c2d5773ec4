from django.conf import settings
from procrastinate.contrib.django import app

from backend.conversations.answers import endings
from backend.core.jobs import every


@app.periodic(cron=every(settings.SWEEP_SECONDS))
@app.task(name="conversations.sweep_turns", queueing_lock="conversations.sweep_turns", pass_context=False)
def sweep_turns(timestamp: int) -> int:  # noqa: ARG001 - procrastinate tells when it was due
    return endings.sweep_turns()
