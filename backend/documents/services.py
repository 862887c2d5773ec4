"""What others may do with documents; what it takes is in the modules named after it."""

from collections import Counter
from typing import IO, Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.documents import claims, erasure, files
from backend.documents.bulk import Upload, is_archive, upload_all
from backend.documents.errors import (
    DocumentBusy,
    DocumentNotFound,
    NothingToApprove,
    NothingToCancel,
    NothingToRetry,
    OriginalMissing,
)
from backend.documents.models import Document, State
from backend.documents.passages import LivePassage, live_passages, page_text
from backend.documents.replacing import replace_document
from backend.documents.uploads import limits, paste_text, shown_link, upload_document

__all__ = [
    "LivePassage",
    "Upload",
    "approve",
    "cancel",
    "change",
    "delete_document",
    "is_archive",
    "limits",
    "live_passages",
    "open_original",
    "page_text",
    "paste_text",
    "reindex",
    "reindex_bot",
    "rename",
    "replace_document",
    "retry",
    "retry_failed",
    "set_enabled",
    "upload_all",
    "upload_document",
]


def change(
    *, document: Document, title: str | None = None, link: str | None = None, enabled: bool | None = None
) -> Document:
    """Set what is given; one that is switched off is kept, and answers nothing from this moment on. Raises
    DocumentNotFound."""
    fields: dict[str, Any] = {"updated_at": Now()}
    if title is not None:
        fields["title"] = files.shown_title(title)
    if link is not None:
        fields["link"] = shown_link(link)
    if enabled is not None:
        fields["enabled"] = enabled
    if not _row(document).exclude(state=State.DELETING).update(**fields):
        raise DocumentNotFound
    return _reread(document)


def rename(*, document: Document, title: str) -> Document:
    return change(document=document, title=title)


def set_enabled(*, documents_queryset: "QuerySet[Document]", enabled: bool) -> int:
    """Documents that are switched off are kept, and answer nothing, from this moment on. Returns how many changed."""
    others = documents_queryset.exclude(state=State.DELETING).exclude(enabled=enabled)
    return others.update(enabled=enabled, updated_at=Now())


# What a person may want tried again: it failed, or waits because it did.
_FAILED = Q(state=State.FAILED) | Q(state=State.QUEUED, wake_at__isnull=False)


def retry(*, document: Document) -> Document:
    """One that failed or was cancelled begins anew; one that waits for its next try need not wait. Raises
    NothingToRetry."""
    with transaction.atomic():
        if not claims.queue(_row(document).filter(_FAILED | Q(state=State.CANCELLED)), document.pk):
            raise NothingToRetry
    return _reread(document)


def retry_failed(*, bot: Bot, code: str = "") -> dict[str, int]:
    """All of the bot's documents that failed, or wait for their next try, with this error or with any. Returns how many
    were queued, by the error's code."""
    rows = Document.objects.live().filter(_FAILED, bot=bot)
    if code:
        rows = rows.filter(error_code=code)
    queued: Counter[str] = Counter()
    for pk, error_code in rows.order_by("pk").values_list("pk", "error_code"):
        with transaction.atomic():
            queued[error_code] += claims.queue(Document.objects.filter(_FAILED, pk=pk), pk)
    return dict(+queued)


def cancel(*, document: Document) -> Document:
    """Whoever is at it writes nothing more; what serves goes on serving. Raises NothingToCancel."""
    with transaction.atomic():
        if not claims.cancel(document):
            raise NothingToCancel
    return _reread(document)


def approve(*, document: Document) -> Document:
    """The owner's go: what was read is embedded. Raises NothingToApprove."""
    with transaction.atomic():
        waiting = _row(document).filter(state=State.WAITING)
        if not waiting.update(review=False):
            raise NothingToApprove
        claims.queue(waiting, document.pk)
    return _reread(document)


_AT_REST = (State.READY, State.FAILED, State.CANCELLED)


def reindex(*, document: Document) -> Document:
    """Read the original again, with the bot's settings of now; the serving version stays until the new one is whole.
    Raises DocumentBusy."""
    with transaction.atomic():
        if not claims.queue(_row(document).filter(state__in=_AT_REST), document.pk):
            raise DocumentBusy
    return _reread(document)


def reindex_bot(*, bot: Bot) -> int:
    """All documents that serve, after a change of the bot's chunk settings. One that is under way is not disturbed: it
    looks at the settings again when it is done. Returns how many were queued."""
    queued = 0
    for document in Document.objects.live().filter(bot=bot).exclude(state=State.QUEUED):
        with transaction.atomic():
            # The lock waits for a switch that is just being committed, and that read the settings before they changed.
            _row(document).select_for_update().first()
            queued += claims.queue(_row(document).filter(state=State.READY), document.pk)
    return queued


def delete_document(*, document: Document, requested_by: UUID | None = None) -> None:
    """Hidden at once, whoever is at work on it; a job erases vectors, file and rows."""
    erasure.request_document(document=document, requested_by=requested_by)


def open_original(*, document: Document) -> IO[bytes]:
    """To be closed by the caller. Raises OriginalMissing, StorageAway."""
    try:
        return files.open_local(document.file)
    except FileNotFoundError as exc:
        raise OriginalMissing from exc


def _row(document: Document) -> Any:
    return Document.objects.filter(pk=document.pk)


def _reread(document: Document) -> Document:
    document.refresh_from_db()
    return document
