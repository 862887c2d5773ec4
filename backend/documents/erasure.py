"""Taking documents, bots and accounts away for good: vectors first, read back as gone, then files, rows last.

Whatever is to be erased is hidden already. Every step may be repeated, and the rows that say what is left to do are the
last to go, so a killed job is simply run again (see `sweeping`).
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from backend.agent_client import AgentError
from backend.bots.models import Bot
from backend.core import jobs
from backend.documents import claims, vectors
from backend.documents.claims import ERASE
from backend.documents.failures import AGENT_HINT
from backend.documents.models import Chunk, Document, DocumentVersion, Page, State
from backend.users.models import User

ERASE_BOT = "documents.erase_bot"
ERASE_USER = "documents.erase_user"
MAX_RETRY_DELAY = timedelta(minutes=10)


def doom(**chosen: Any) -> int:
    """Hide documents and put every worker's claim on them out of force. Returns how many were not so before."""
    living = Document.objects.filter(**chosen).exclude(state=State.DELETING)
    doomed: int = living.update(
        state=State.DELETING, fence=F("fence") + 1, wake_at=None, failures=0, error_code="", updated_at=Now()
    )
    return doomed


def erase_document(document_id: UUID) -> None:
    """Waits for a worker that may still be at it: what it has sent must have arrived before we read back."""
    document = Document.objects.filter(pk=document_id, state=State.DELETING).select_related("bot").first()
    if document is None:
        return
    if _held(pk=document_id):
        jobs.enqueue(ERASE, delay=settings.INGEST_HEARTBEAT, document_id=str(document_id))
        return
    try:
        vectors.erase(bot=document.bot, document_id=document_id)
    except AgentError as exc:
        _again_later(document, exc)
        return
    default_storage.delete(document.file)
    with transaction.atomic():
        _delete_rows(document_id)
        _confirm_later(document.bot, document_id)


def _held(**chosen: Any) -> bool:
    return bool(Document.objects.filter(**chosen, lease_until__gt=Now()).exists())


def _again_later(document: Document, exc: AgentError) -> None:
    delay = min(MAX_RETRY_DELAY, settings.INGEST_RETRY_DELAY * 2 ** min(document.failures, 10))
    with transaction.atomic():
        Document.objects.filter(pk=document.pk).update(
            wake_at=Now() + delay,
            failures=F("failures") + 1,
            error_code=exc.code[:60],
            error_message=exc.message[:500],
            error_hint=AGENT_HINT,
            updated_at=Now(),
        )
        jobs.enqueue(ERASE, delay=delay, document_id=str(document.pk))


def _delete_rows(document_id: UUID) -> None:
    Chunk.objects.filter(document=document_id).delete()
    Page.objects.filter(version__document=document_id).delete()
    Document.objects.filter(pk=document_id).update(version=None)
    DocumentVersion.objects.filter(document=document_id).delete()
    Document.objects.filter(pk=document_id).delete()


def _confirm_later(bot: Bot, document_id: UUID | None) -> None:
    """Once more when the last request of a killed worker must have ended at the agent, whatever it did there."""
    delay = settings.INGEST_LEASE + timedelta(seconds=settings.AGENT_INGEST_SECONDS)
    claims.confirm_erasure(bot_id=bot.pk, owner_id=bot.owner_id, document_id=document_id, delay=delay)


def confirm_erasure(*, bot_id: UUID, owner_id: UUID, document_id: UUID | None) -> None:
    """Raises AgentError, to be tried again."""
    vectors.erase(bot=Bot(pk=bot_id, owner_id=owner_id), document_id=document_id)


def erase_bot(bot_id: UUID) -> bool:
    """A bot that was marked deleted, with all it knew. Returns whether nothing is left of it; if not, a job goes on.
    Raises AgentError."""
    bot = Bot.objects.filter(pk=bot_id).exclude(deleted_at=None).first()
    if bot is None:
        return True
    doom(bot=bot)
    if _held(bot=bot):
        jobs.enqueue(ERASE_BOT, delay=settings.INGEST_HEARTBEAT, bot_id=str(bot_id))
        return False
    vectors.erase(bot=bot)
    for document_id, file in Document.objects.filter(bot=bot).values_list("pk", "file"):
        default_storage.delete(file)
        with transaction.atomic():
            _delete_rows(document_id)
    with transaction.atomic():
        _confirm_later(bot, None)
        bot.delete()
    return True


def erase_user(user_id: UUID) -> None:
    """An account that was closed: its bots, and then its row, with everything that hangs on it but the ledger.
    Raises AgentError."""
    user = User.objects.filter(pk=user_id).exclude(deleted_at=None).first()
    if user is None:
        return
    Bot.objects.filter(owner=user, deleted_at=None).update(deleted_at=Now())
    left = [bot_id for bot_id in Bot.objects.filter(owner=user).values_list("pk", flat=True) if not erase_bot(bot_id)]
    if left:
        jobs.enqueue(ERASE_USER, delay=settings.INGEST_HEARTBEAT, user_id=str(user_id))
        return
    user.delete()
