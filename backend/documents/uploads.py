"""Files and texts on their way in: checked, stored under a key of ours, and queued."""

from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import IntegrityError, transaction

from backend.bots.models import Bot
from backend.core.text import clean_text
from backend.documents import claims, files, formats, quotas
from backend.documents.chunking import visible
from backend.documents.errors import (
    DuplicateDocument,
    EmptyFile,
    NoText,
    TextTooLong,
    TooLarge,
    UnsupportedType,
)
from backend.documents.formats import TELEGRAM_EXPORT, TEXT, Format
from backend.documents.models import Document, Kind, State

LINK_CHARS = 2000


def limits() -> dict[str, Any]:
    """What an upload may be, told before it is tried."""
    return {
        "file_bytes": settings.UPLOAD_LIMIT_BYTES,
        "request_bytes": settings.UPLOAD_REQUEST_LIMIT_BYTES,
        "request_files": settings.UPLOAD_LIMIT_FILES,
        "pages": settings.PAGES_LIMIT,
        "text_chars": settings.TEXT_LIMIT_CHARS,
        "formats": [
            {"name": kind.name, "title": kind.title, "extensions": [*kind.extensions], "file_bytes": _max_bytes(kind)}
            for kind in formats.FORMATS.values()
            if kind.extensions
        ],
    }


def upload_document(
    *,
    bot: Bot,
    file: "File[bytes]",
    filename: str,
    title: str = "",
    link: str = "",
    kind: str = Kind.FILE,
    review: bool = False,
    format_name: str = "",
) -> Document:
    """`format_name` is for what we wrote ourselves, and spares it being recognised. With `review` nothing is embedded
    before `approve`. Raises EmptyFile, UnsupportedType, TooLarge, DuplicateDocument, QuotaExceeded, StorageUnavailable;
    then nothing was kept."""
    filename = files.shown_name(filename)
    form = checked_format(file, filename, format_name)
    document = Document(
        bot=bot,
        kind=kind,
        title=files.shown_title(title or _title_within(file, form), filename=filename),
        filename=filename,
        link=shown_link(link),
        review=review,
        format=form.name,
        media_type=form.media_type,
        size=file.size,
        sha256=files.digest(file),
    )
    return _accept(document, file)


def paste_text(*, bot: Bot, title: str, text: str, link: str = "", review: bool = False) -> Document:
    """Raises NoText, TextTooLong, DuplicateDocument, StorageUnavailable; then nothing was kept."""
    text = clean_text(text)
    if not visible(text):
        raise NoText
    if len(text) > settings.TEXT_LIMIT_CHARS:
        raise TextTooLong(details=limits())
    title = files.shown_title(title)
    return upload_document(
        bot=bot,
        file=ContentFile(text.encode()),
        filename=f"{title}.txt",
        title=title,
        link=link,
        kind=Kind.TEXT,
        review=review,
        format_name=TEXT.name,
    )


def checked_format(file: "File[bytes]", filename: str, format_name: str = "") -> Format:
    """The format of a file that may be kept. Raises EmptyFile, UnsupportedType, TooLarge."""
    if not file.size:
        raise EmptyFile
    form = formats.FORMATS[format_name] if format_name else _recognised(file, filename)
    if file.size > _max_bytes(form):
        raise TooLarge(details=limits())
    return form


def _recognised(file: "File[bytes]", filename: str) -> Format:
    file.seek(0)
    try:
        return formats.recognise(filename=filename, head=file.read(formats.SNIFF_BYTES))
    except formats.NotAccepted as exc:
        raise UnsupportedType(str(exc), details=limits()) from exc


def _title_within(file: "File[bytes]", form: Format) -> str:
    if form is not TELEGRAM_EXPORT:
        return ""
    file.seek(0)
    return formats.chat_name(file.read(formats.SNIFF_BYTES))


def _max_bytes(form: Format) -> int:
    return min(settings.UPLOAD_LIMIT_BYTES, form.max_bytes or settings.UPLOAD_LIMIT_BYTES)


def shown_link(link: str) -> str:
    return clean_text(link).strip()[:LINK_CHARS]


def _accept(document: Document, file: "File[bytes]") -> Document:
    """File, row and job, or none of them. Of parallel uploads of the same content the index lets one through."""
    refuse_duplicate(document.bot_id, document.sha256)
    quotas.check_upload(bot=document.bot, files=1, size=document.size, lock=False)
    document.file = files.store(file)
    try:
        with transaction.atomic():
            quotas.check_upload(bot=document.bot, files=1, size=document.size)
            document.save(force_insert=True)
            claims.wake(document.pk)
    except BaseException as exc:
        files.remove_remains(document.file)
        if isinstance(exc, IntegrityError):
            refuse_duplicate(document.bot_id, document.sha256)
        raise
    document.refresh_from_db(fields=["created_at", "updated_at"])
    return document


def refuse_duplicate(bot_id: Any, sha256: str) -> None:
    """Raises DuplicateDocument where the bot has this content."""
    same = Document.objects.filter(bot=bot_id, sha256=sha256).exclude(state=State.DELETING).first()
    if same is not None:
        raise DuplicateDocument(details={"id": str(same.pk), "title": same.title, "state": same.state})
