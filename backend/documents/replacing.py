"""New content for a document: its next version, built beside the one that serves."""

from django.core.files.base import File
from django.db import IntegrityError, transaction

from backend.documents import claims, files, quotas, uploads
from backend.documents.errors import DocumentNotFound
from backend.documents.formats import Format
from backend.documents.models import Document, State


def replace_document(
    *,
    document: Document,
    file: "File[bytes]",
    filename: str = "",
    title: str = "",
    link: str = "",
    format_name: str = "",
) -> bool:
    """Whether the content is another than before; the same content changes nothing. What is not given stays; the format
    is recognised anew where a filename is given and no format.

    Raises EmptyFile, UnsupportedType, TooLarge, DuplicateDocument, DocumentNotFound, QuotaExceeded, StorageUnavailable;
    then nothing has changed.
    """
    format_name = format_name or ("" if filename else document.format)
    filename = files.shown_name(filename) if filename else document.filename
    form = uploads.checked_format(file, filename, format_name)
    sha256 = files.digest(file)
    if Document.objects.filter(pk=document.pk, sha256=sha256).exclude(state=State.DELETING).exists():
        return False
    uploads.refuse_duplicate(document.bot_id, sha256)
    quotas.check_upload(bot=document.bot, files=0, size=file.size - document.size, lock=False)
    key = files.store(file)
    try:
        changed = _exchange(document, key, _fields(file, form, sha256, filename, title, link))
    except BaseException as exc:
        files.remove_remains(key)
        if isinstance(exc, IntegrityError):
            uploads.refuse_duplicate(document.bot_id, sha256)
        raise
    if not changed:
        files.remove_remains(key)
    document.refresh_from_db()
    return changed


def _fields(
    file: "File[bytes]", form: Format, sha256: str, filename: str, title: str, link: str
) -> dict[str, str | int]:
    fields: dict[str, str | int] = {
        "sha256": sha256,
        "size": file.size,
        "filename": filename,
        "format": form.name,
        "media_type": form.media_type,
    }
    if title:
        fields["title"] = files.shown_title(title)
    if link:
        fields["link"] = uploads.shown_link(link)
    return fields


def _exchange(document: Document, key: str, fields: dict[str, str | int]) -> bool:
    """Row and job, or neither. Queueing takes the document from a worker that reads the content of before."""
    rows = Document.objects.filter(pk=document.pk)
    with transaction.atomic():
        locked = rows.select_for_update().exclude(state=State.DELETING).first()
        if locked is None:
            raise DocumentNotFound
        if locked.sha256 == fields["sha256"]:
            return False
        quotas.check_upload(bot=document.bot, files=0, size=int(fields["size"]) - locked.size)
        rows.update(file=key, **fields)
        claims.queue(rows, document.pk)
        files.remove_later(locked.file)
    return True
