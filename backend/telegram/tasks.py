from uuid import UUID

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from backend.core.jobs import every
from backend.telegram import services
from backend.telegram.errors import TelegramFailed
from backend.telegram.models import TelegramSession

SWEEP_SECONDS = 10 * 60
_RETRY = RetryStrategy(max_attempts=5, exponential_wait=3, retry_exceptions=[TelegramFailed])


@app.task(name=services.LOG_OUT, retry=_RETRY)
def log_out(*, session_id: str) -> None:
    session = TelegramSession.objects.filter(pk=UUID(session_id)).exclude(leaving_at=None).first()
    if session is not None:
        services.log_out(session=session)


@app.periodic(cron=every(SWEEP_SECONDS))
@app.task(name="telegram.sweep", queueing_lock="telegram.sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001 - what the scheduler hands over
    """Those whose job gave up, or was lost."""
    for session in TelegramSession.objects.exclude(leaving_at=None):
        services.retire(session=session)
