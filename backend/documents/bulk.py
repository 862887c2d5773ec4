"""Many files in one request, and archives of them: each is taken or refused on its own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.files.base import ContentFile, File

from backend.bots.models import Bot
from backend.core.errors import ChatSphereError
from backend.documents import formats, uploads
from backend.documents.errors import ArchiveRefused, EntryRefused, TooLarge
from backend.documents.failures import FAILURES
from backend.documents.models import Document
from backend.documents.parser.reading import Unreadable
from backend.documents.parser.zip_upload import Entry, ZipUpload


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of one file; `name` is its path where it was in an archive."""

    name: str
    document: Document | None = None
    error: ChatSphereError | None = None


def is_archive(file: "File[bytes]", filename: str) -> bool:
    file.seek(0)
    return formats.is_archive(filename=filename, head=file.read(formats.SNIFF_BYTES))


def upload_all(
    *, bot: Bot, files: Iterable[tuple[str, "File[bytes]"]], allow: Callable[[], None], **fields: Any
) -> list[Upload]:
    """Each file by its name, and those inside of archives; `allow` is asked before each, and refuses by raising a
    ChatSphereError. `fields` as for `upload_document`."""
    outcomes: list[Upload] = []
    for name, file in files:
        found = _expanded(name, file) if is_archive(file, name) else [(name, partial(_itself, file))]
        outcomes.extend(_one(bot, path, opened, allow, fields) for path, opened in found)
    return outcomes


def _itself(file: "File[bytes]") -> "File[bytes]":
    return file


def _one(
    bot: Bot, name: str, opened: Callable[[], "File[bytes]"], allow: Callable[[], None], fields: dict[str, Any]
) -> Upload:
    try:
        allow()
        return Upload(name, document=uploads.upload_document(bot=bot, file=opened(), filename=name, **fields))
    except ChatSphereError as exc:
        return Upload(name, error=exc)


def _expanded(name: str, file: "File[bytes]") -> Iterator[tuple[str, Callable[[], "File[bytes]"]]]:
    """The files of an archive, each opened when its turn comes, so that only one is in memory."""
    try:
        archive = ZipUpload(file)
    except Unreadable as exc:
        yield name, partial(_refuse, ArchiveRefused(exc.code, FAILURES[exc.code].message))
        return
    for entry in archive.entries:
        yield entry.name, partial(_read, archive, entry)
    if not archive.entries:
        yield name, partial(_refuse, ArchiveRefused("empty_file", "There is no file in the archive."))


def _refuse(error: ChatSphereError) -> "File[bytes]":
    raise error


def _read(archive: ZipUpload, entry: Entry) -> "File[bytes]":
    if entry.reason:
        raise EntryRefused(entry.reason)
    if entry.size > uploads.limits()["file_bytes"]:
        raise TooLarge(details=uploads.limits())
    try:
        return ContentFile(archive.read(entry))
    except Unreadable as exc:
        raise ArchiveRefused(exc.code, FAILURES[exc.code].message) from exc
