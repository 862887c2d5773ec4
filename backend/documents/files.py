"""Originals in the storage, under keys of our own: a user's file name never becomes part of a path."""

import hashlib
import logging
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import IO

from django.core.files.base import File
from django.core.files.storage import default_storage

from backend.core import jobs
from backend.core.ids import uuid7
from backend.documents.errors import StorageUnavailable

logger = logging.getLogger(__name__)

FOLDER = "documents"
REMOVE = "documents.remove_file"
NAME_CHARS = 255
TITLE_CHARS = 300
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # among them what makes "exe.txt" out of "txt.exe"


class StorageAway(StorageUnavailable):
    """The storage of files does not answer; try again later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def store(file: "File[bytes]") -> str:
    """Returns the key. Raises StorageUnavailable, having kept nothing that can be removed."""
    key = f"{FOLDER}/{uuid7()}"
    try:
        return str(default_storage.save(key, file))
    except OSError as exc:
        remove_remains(key)
        logger.warning("a file could not be stored: %s", exc.strerror)
        raise StorageUnavailable(retry_after=60) from exc


def remove_remains(key: str) -> None:
    """Of a file that was written in part. What cannot be removed now, `reconcile` finds as a file without a row."""
    try:
        default_storage.delete(key)
    except OSError as exc:
        logger.warning("what was stored of %s could not be removed: %s", key, exc.strerror)


@contextmanager
def opened_locally(key: str) -> Iterator[IO[bytes]]:
    """A local file with a descriptor, at its beginning; what lies elsewhere is fetched first. Raises FileNotFoundError,
    StorageAway."""
    file = open_local(key)
    try:
        yield file
    finally:
        file.close()


def open_local(key: str) -> "File[bytes]":
    """As `opened_locally`, to be closed by the caller."""
    try:
        return default_storage.open(key, "rb")
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise StorageAway(retry_after=60) from exc


def remove(key: str) -> None:
    """Also what is gone already. Raises StorageAway."""
    try:
        default_storage.delete(key)
    except OSError as exc:
        raise StorageAway(retry_after=60) from exc


def remove_later(key: str) -> None:
    """By a job, which exists exactly when the caller's transaction does."""
    jobs.enqueue(REMOVE, key=key)


def exists(key: str) -> bool:
    """Raises StorageAway."""
    try:
        return bool(default_storage.exists(key))
    except OSError as exc:
        raise StorageAway(retry_after=60) from exc


def stored_keys() -> Iterator[str]:
    """Raises StorageAway."""
    try:
        names = default_storage.listdir(FOLDER)[1]
    except FileNotFoundError:
        return  # nothing was ever stored
    except OSError as exc:
        raise StorageAway(retry_after=60) from exc
    for name in names:
        yield f"{FOLDER}/{name}"


def digest(file: "File[bytes]") -> str:
    """sha256, in hex, of what is in the file, which is left at its beginning."""
    sha256 = hashlib.sha256()
    file.seek(0)
    for block in file.chunks():
        sha256.update(block)
    file.seek(0)
    return sha256.hexdigest()


def shown_name(name: str) -> str:
    """A file's name fit to be shown and offered: no folder, nothing invisible, at most NAME_CHARS characters."""
    name = _seen(name.replace("\\", "/").rpartition("/")[2])
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix[:20]
    return stem[: NAME_CHARS - len(suffix)] + suffix if name else "file"


def shown_title(title: str, *, filename: str = "") -> str:
    return _seen(title)[:TITLE_CHARS] or PurePosixPath(filename).stem[:TITLE_CHARS] or "Untitled"


def _seen(text: str) -> str:
    in_one_line = re.sub(r"\s+", " ", text)
    return "".join(char for char in in_one_line if unicodedata.category(char) not in _UNSEEN).strip()
