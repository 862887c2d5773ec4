from uuid import UUID

from django.conf import settings
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from backend.agent_client import AgentError
from backend.bots.models import Bot
from backend.core.jobs import every
from backend.documents import claims, erasure, ingestion, services, sweeping

# Without it the sweeper would remind as well, but only of what has a row left to be reminded by.
CONFIRM_RETRY = RetryStrategy(max_attempts=20, exponential_wait=2, retry_exceptions=[AgentError])


@app.task(name=claims.INGEST)
def ingest(*, document_id: str) -> None:
    ingestion.ingest(UUID(document_id))


@app.task(name=ingestion.RETIRE)
def retire_versions(*, document_id: str) -> None:
    ingestion.retire_versions(UUID(document_id))


@app.task(name="documents.reindex_bot")
def reindex_bot(*, bot_id: str) -> None:
    bot = Bot.objects.filter(pk=bot_id, deleted_at=None).first()
    if bot is not None:
        services.reindex_bot(bot=bot)


@app.task(name=claims.ERASE)
def erase_document(*, document_id: str) -> None:
    erasure.erase_document(UUID(document_id))


@app.task(name=erasure.ERASE_BOT)
def erase_bot(*, bot_id: str) -> None:
    erasure.erase_bot(UUID(bot_id))


@app.task(name=erasure.ERASE_USER)
def erase_user(*, user_id: str) -> None:
    erasure.erase_user(UUID(user_id))


@app.task(name=claims.CONFIRM, retry=CONFIRM_RETRY)
def confirm_erasure(*, bot_id: str, owner_id: str, document_id: str | None) -> None:
    erasure.confirm_erasure(
        bot_id=UUID(bot_id), owner_id=UUID(owner_id), document_id=UUID(document_id) if document_id else None
    )


# A queueing lock and no lock: of a killed sweep's job nothing is left that could keep the next one from running.
@app.periodic(cron=every(settings.SWEEP_SECONDS))
@app.task(name="documents.sweep", queueing_lock="documents.sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001 - what the scheduler hands over
    sweeping.sweep()
