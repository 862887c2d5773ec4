from uuid import UUID

from django.conf import settings
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from backend.agent_client import AgentError
from backend.bots import indexes
from backend.bots.models import Bot
from backend.core.jobs import every
from backend.documents import claims, corrections, erasure, files, indexing, ingestion, services, serving, sweeping

# Without it the sweeper would remind as well, but only of what has a row left to be reminded by.
CONFIRM_RETRY = RetryStrategy(max_attempts=20, exponential_wait=2, retry_exceptions=[AgentError])
REMOVE_RETRY = RetryStrategy(max_attempts=20, exponential_wait=2, retry_exceptions=[files.StorageAway])


# In a queue of its own, so that the worker's other jobs need not wait behind long documents.
@app.task(name=claims.INGEST, queue=claims.INGEST)
def ingest(*, document_id: str) -> None:  # noqa: ARG001 - only a reminder: whose turn it is say the rows
    ingestion.ingest()


@app.task(name=claims.RETIRE)
def retire_versions(*, document_id: str, again: bool = False) -> None:
    serving.retire_versions(UUID(document_id), again=again)


@app.task(name=corrections.EMBED, retry=CONFIRM_RETRY)
def embed_corrections(*, document_id: str) -> None:
    corrections.embed(UUID(document_id))


@app.task(name="documents.reindex_bot")
def reindex_bot(*, bot_id: str) -> None:
    bot = Bot.objects.filter(pk=bot_id, deleted_at=None).first()
    if bot is not None:
        services.reindex_bot(bot=bot)


# In a queue of its own as well: it goes on until the whole index is built.
@app.task(name=indexes.BUILD, queue=indexes.BUILD)
def build_index(*, build_id: str) -> None:
    indexing.build(UUID(build_id))


@app.task(name=indexes.FORGET, retry=CONFIRM_RETRY)
def forget_index(*, build_id: str, again: bool = False) -> None:
    indexing.forget(UUID(build_id), again=again)


@app.task(name=files.REMOVE, retry=REMOVE_RETRY)
def remove_file(*, key: str) -> None:
    files.remove(key)


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
