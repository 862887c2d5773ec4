from typing import IO, Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.core import jobs
from backend.core.text import clean_text
from backend.documents import claims, erasure, files, formats
from backend.documents.chunking import visible
from backend.documents.claims import ERASE
from backend.documents.errors import (
    DocumentBusy,
    DocumentNotFound,
    DuplicateDocument,
    EmptyFile,
    NoText,
    NothingToRetry,
    OriginalMissing,
    TextTooLong,
    TooLarge,
    UnsupportedType,
)
from backend.documents.formats import TEXT, Format
from backend.documents.models import Document, Kind, State
from backend.documents.passages import LivePassage, live_passages, page_text

__all__ = [
    "LivePassage",
    "delete_document",
    "limits",
    "live_passages",
    "open_original",
    "page_text",
    "paste_text",
    "reindex",
    "reindex_bot",
    "rename",
    "retry",
    "upload_document",
]


def limits() -> dict[str, Any]:
    """What an upload may be, told before it is tried."""
    return {
        "file_bytes": settings.UPLOAD_LIMIT_BYTES,
        "pages": settings.PAGES_LIMIT,
        "text_chars": settings.TEXT_LIMIT_CHARS,
        "formats": [
            {"name": kind.name, "title": kind.title, "extensions": [*kind.extensions], "file_bytes": _max_bytes(kind)}
            for kind in formats.FORMATS.values()
        ],
    }


def upload_document(*, bot: Bot, file: "File[bytes]", filename: str, title: str = "") -> Document:
    """Raises EmptyFile, UnsupportedType, TooLarge, DuplicateDocument, StorageUnavailable; then nothing was kept."""
    filename = files.shown_name(filename)
    kind = _checked_format(file, filename)
    document = Document(
        bot=bot,
        kind=Kind.FILE,
        title=files.shown_title(title, filename=filename),
        filename=filename,
        format=kind.name,
        media_type=kind.media_type,
        size=file.size,
        sha256=files.digest(file),
    )
    return _accept(document, file)


def paste_text(*, bot: Bot, title: str, text: str) -> Document:
    """Raises NoText, TextTooLong, DuplicateDocument, StorageUnavailable; then nothing was kept."""
    text = clean_text(text)
    if not visible(text):
        raise NoText
    if len(text) > settings.TEXT_LIMIT_CHARS:
        raise TextTooLong(details=limits())
    file = ContentFile(text.encode())
    title = files.shown_title(title)
    document = Document(
        bot=bot,
        kind=Kind.TEXT,
        title=title,
        filename=files.shown_name(f"{title}.txt"),
        format=TEXT.name,
        media_type=TEXT.media_type,
        size=file.size,
        sha256=files.digest(file),
    )
    return _accept(document, file)


def _checked_format(file: "File[bytes]", filename: str) -> Format:
    if not file.size:
        raise EmptyFile
    file.seek(0)
    try:
        kind = formats.recognise(filename=filename, head=file.read(formats.SNIFF_BYTES))
    except formats.NotAccepted as exc:
        raise UnsupportedType(str(exc), details=limits()) from exc
    if file.size > _max_bytes(kind):
        raise TooLarge(details=limits())
    return kind


def _max_bytes(kind: Format) -> int:
    return min(settings.UPLOAD_LIMIT_BYTES, kind.max_bytes or settings.UPLOAD_LIMIT_BYTES)


def _accept(document: Document, file: "File[bytes]") -> Document:
    """File, row and job, or none of them. Of parallel uploads of the same content the index lets one through."""
    _refuse_duplicate(document)
    document.file = files.store(file)
    try:
        with transaction.atomic():
            document.save(force_insert=True)
            claims.wake(document.pk)
    except BaseException as exc:
        default_storage.delete(document.file)
        if isinstance(exc, IntegrityError):
            _refuse_duplicate(document)
        raise
    document.refresh_from_db(fields=["created_at", "updated_at"])
    return document


def _refuse_duplicate(document: Document) -> None:
    same = Document.objects.filter(bot=document.bot, sha256=document.sha256).exclude(state=State.DELETING).first()
    if same is not None:
        raise DuplicateDocument(details={"id": str(same.pk), "title": same.title, "state": same.state})


def rename(*, document: Document, title: str) -> Document:
    _changed(_row(document).exclude(state=State.DELETING).update(title=files.shown_title(title), updated_at=Now()))
    return _reread(document)


def retry(*, document: Document) -> Document:
    """A failed document begins anew; one that waits for its next try need not wait. Raises NothingToRetry."""
    waiting = Q(state=State.FAILED) | Q(state=State.QUEUED, wake_at__isnull=False)
    with transaction.atomic():
        if not claims.queue(_row(document).filter(waiting), document.pk):
            raise NothingToRetry
    return _reread(document)


def reindex(*, document: Document) -> Document:
    """Read the original again, with the bot's settings of now; the serving version stays until the new one is whole.
    Raises DocumentBusy."""
    with transaction.atomic():
        if not claims.queue(_row(document).filter(state__in=[State.READY, State.FAILED]), document.pk):
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


def delete_document(*, document: Document) -> None:
    """Hidden at once, whoever is at work on it; a job erases vectors, file and rows."""
    with transaction.atomic():
        if erasure.doom(pk=document.pk):
            jobs.enqueue(ERASE, document_id=str(document.pk))


def open_original(*, document: Document) -> IO[bytes]:
    """Raises OriginalMissing."""
    try:
        return default_storage.open(document.file, "rb")
    except FileNotFoundError as exc:
        raise OriginalMissing from exc


def _row(document: Document) -> Any:
    return Document.objects.filter(pk=document.pk)


def _changed(count: int) -> None:
    if not count:
        raise DocumentNotFound


def _reread(document: Document) -> Document:
    document.refresh_from_db()
    return document
