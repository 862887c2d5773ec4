"""Originals in the storage, under keys of our own: a user's file name never becomes part of a path."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath

from django.core.files.base import File
from django.core.files.storage import default_storage

from backend.core.ids import uuid7
from backend.documents.errors import StorageUnavailable

FOLDER = "documents"
NAME_CHARS = 255
TITLE_CHARS = 300
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # among them what makes "exe.txt" out of "txt.exe"


def store(file: "File[bytes]") -> str:
    """Returns the key. Raises StorageUnavailable, having kept nothing."""
    key = f"{FOLDER}/{uuid7()}"
    try:
        return str(default_storage.save(key, file))
    except OSError as exc:
        default_storage.delete(key)
        raise StorageUnavailable(retry_after=60) from exc


def digest(file: "File[bytes]") -> str:
    """sha256, in hex, of what is in the file, which is left at its beginning."""
    sha256 = hashlib.sha256()
    file.seek(0)
    for block in file.chunks():
        sha256.update(block)
    file.seek(0)
    return sha256.hexdigest()


def stored_keys() -> Iterator[str]:
    if default_storage.exists(FOLDER):
        for name in default_storage.listdir(FOLDER)[1]:
            yield f"{FOLDER}/{name}"


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
