"""Taking documents, bots and accounts away for good: vectors first, read back as gone, then files, rows last.

Whatever is to be erased is hidden already. Every step may be repeated, and the rows that say what is left to do are the
last to go, so a killed job is simply run again (see `sweeping`). What was counted on the way is kept (see `proofs`).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from backend.agent_client import AgentError
from backend.bots import indexes
from backend.bots.models import UNFINISHED, Bot, BuildState, Index, IndexBuild, namespace_prefix
from backend.core import jobs
from backend.core.errors import ChatSphereError
from backend.documents import claims, files, proofs, vectors
from backend.documents.claims import ERASE
from backend.documents.failures import AGENT_HINT
from backend.documents.files import StorageAway
from backend.documents.models import Chunk, Document, DocumentVersion, Page, State
from backend.documents.proofs import Counts
from backend.users.models import User

ERASE_BOT = "documents.erase_bot"
ERASE_USER = "documents.erase_user"
MAX_RETRY_DELAY = timedelta(minutes=10)

before_a_bot_goes: list[Callable[[UUID], None]] = []
"""What apps above this one have to do then; called in the transaction that deletes the row, and perhaps again."""


def request_document(*, document: Document, requested_by: UUID | None = None) -> bool:
    """Hide it now; a job erases it. False where it was being deleted already."""
    with transaction.atomic():
        if not doom(pk=document.pk):
            return False
        proofs.request("document", document.pk, owner_id=document.bot.owner_id, by=requested_by)
        jobs.enqueue(ERASE, document_id=str(document.pk))
    return True


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
    if _held(pk=document_id) or indexes.busy(document_id):
        jobs.enqueue(ERASE, delay=settings.INGEST_HEARTBEAT, document_id=str(document_id))
        return
    proofs.request("document", document_id, owner_id=document.bot.owner_id)
    try:
        proofs.add("document", document_id, _forget(indexes.stored(document.bot), document_id))
        files.remove(document.file)
    except (AgentError, StorageAway) as exc:
        _again_later(document, exc)
        return
    with transaction.atomic():
        proofs.add("document", document_id, _delete_rows(document_id))
        proofs.finish("document", document_id)
        _confirm_later(document.bot, document_id)


def _held(**chosen: Any) -> bool:
    return bool(Document.objects.filter(**chosen, lease_until__gt=Now()).exists())


def _forget(of_bot: list[Index], document_id: UUID | None = None) -> Counts:
    """From every index that may hold them. Raises AgentError where they were not read back as gone."""
    answers = [vectors.erase(index=index, document_id=document_id) for index in of_bot]
    return {
        "vectors": sum(answer.deleted for answer in answers),
        "vectors_remaining": sum(answer.remaining for answer in answers),
    }


def _again_later(document: Document, exc: ChatSphereError) -> None:
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


def _delete_rows(document_id: UUID) -> Counts:
    chunks, _ = Chunk.objects.filter(document=document_id).delete()
    pages, _ = Page.objects.filter(version__document=document_id).delete()
    Document.objects.filter(pk=document_id).update(version=None)
    versions = DocumentVersion.objects.filter(document=document_id).count()
    DocumentVersion.objects.filter(document=document_id).delete()
    Document.objects.filter(pk=document_id).delete()
    return {"documents": 1, "files": 1, "versions": versions, "pages": pages, "chunks": chunks}


def _confirm_later(bot: Bot, document_id: UUID | None) -> None:
    """Once more when the last request of a killed worker must have ended at the agent, whatever it did there."""
    claims.confirm_erasure(bot_id=bot.pk, owner_id=bot.owner_id, document_id=document_id, delay=indexes.grace())


def confirm_erasure(*, bot_id: UUID, owner_id: UUID, document_id: UUID | None) -> None:
    """Raises AgentError, to be tried again."""
    bot = Bot.objects.filter(pk=bot_id).first()
    _forget(indexes.stored(bot) if bot else _left_behind(Bot(pk=bot_id, owner_id=owner_id)), document_id)


def _left_behind(bot: Bot) -> list[Index]:
    """What the agent has of a bot whose rows do not tell (any more)."""
    names = vectors.namespaces(namespace_prefix(bot.pk))
    generations = {found.generation for name in names if (found := indexes.parsed(name)) and found.bot_id == bot.pk}
    return [indexes.generation_of(bot, generation) for generation in sorted(generations | {0})]


def erase_bot(bot_id: UUID) -> bool:
    """A bot that was marked deleted, with all it knew. Returns whether nothing is left of it; if not, a job goes on.
    Raises AgentError, StorageAway."""
    bot = Bot.objects.filter(pk=bot_id).exclude(deleted_at=None).first()
    if bot is None:
        return True
    proofs.request("bot", bot_id, owner_id=bot.owner_id, by=bot.deleted_by, at=bot.deleted_at)
    doom(bot=bot)
    _stop_builds(bot)
    if _held(bot=bot) or IndexBuild.objects.filter(bot=bot, lease_until__gt=Now()).exists():
        jobs.enqueue(ERASE_BOT, delay=settings.INGEST_HEARTBEAT, bot_id=str(bot_id))
        return False
    known = {index.generation: index for index in [*indexes.stored(bot), *_left_behind(bot)]}
    proofs.add("bot", bot_id, _forget([*known.values()]))
    for document_id, file in Document.objects.filter(bot=bot).values_list("pk", "file"):
        files.remove(file)
        with transaction.atomic():
            proofs.add("bot", bot_id, _delete_rows(document_id))
            proofs.finish("document", document_id)
    with transaction.atomic():
        _confirm_later(bot, None)
        proofs.finish("bot", bot_id)
        for act in before_a_bot_goes:
            act(bot_id)
        bot.delete()
    return True


def _stop_builds(bot: Bot) -> None:
    IndexBuild.objects.filter(bot=bot, state__in=UNFINISHED).update(
        state=BuildState.CANCELLED, fence=F("fence") + 1, obsolete=F("generation"), forget_at=Now(), updated_at=Now()
    )


def erase_user(user_id: UUID) -> None:
    """An account that was closed: its bots, and then its row, with everything that hangs on it but the ledger.
    Raises AgentError, StorageAway."""
    user = User.objects.filter(pk=user_id).exclude(deleted_at=None).first()
    if user is None:
        return
    proofs.request("account", user_id, owner_id=user_id, by=user.deleted_by, at=user.deleted_at)
    Bot.objects.filter(owner=user, deleted_at=None).update(deleted_at=Now(), deleted_by=user.deleted_by)
    left = [bot_id for bot_id in Bot.objects.filter(owner=user).values_list("pk", flat=True) if not erase_bot(bot_id)]
    if left:
        jobs.enqueue(ERASE_USER, delay=settings.INGEST_HEARTBEAT, user_id=str(user_id))
        return
    with transaction.atomic():
        proofs.add("account", user_id, proofs.of_bots(user_id))
        proofs.finish("account", user_id)
        user.delete()
