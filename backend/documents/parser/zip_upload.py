"""A ZIP archive of documents, taken apart into its files. Runs outside of the parser's process, so it reads the list
and the bytes of the entries, both bounded, and looks into none of them."""

import stat
import zipfile
from dataclasses import dataclass
from typing import IO

from backend.documents.parser import archive
from backend.documents.parser.reading import Unreadable, shown

MAX_FILES = 1_000
_NAME_CHARS = 500
_UTF8_NAME = 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ARCHIVES = ("zip", "7z", "rar", "tar", "gz", "tgz", "bz2", "xz", "zst")
_NOT_THE_USERS = ("__macosx", "thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class Entry:
    """`name` is the path inside the archive, in harmless form, for people; `filename` its last part. `read` gives at
    most `size` bytes. `reason` says why the file cannot be taken; empty where it can."""

    name: str
    filename: str
    size: int
    reason: str
    position: int


class ZipUpload:
    """`entries` are the files in the archive's order, without folders and what operating systems add.

    Raises Unreadable where it is broken, encrypted as a whole, holds more than MAX_FILES, or unpacks to more than its
    size allows.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = archive.opened(file)
        self._infos = self._zip.infolist()
        if archive.promises_too_much(self._infos, packed=_size(file)):
            raise Unreadable("zip_bomb")
        self.entries = [entry for position, info in enumerate(self._infos) if (entry := _entry(info, position))]
        if len(self.entries) > MAX_FILES:
            raise Unreadable("too_many_files")
        if self.entries and all(self._infos[entry.position].flag_bits & archive.ENCRYPTED for entry in self.entries):
            raise Unreadable("encrypted_file")

    def read(self, entry: Entry) -> bytes:
        """The file's bytes. Raises Unreadable where they are broken or more than was promised."""
        return b"".join(archive.blocks(self._zip, self._infos[entry.position]))


def _size(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _entry(info: zipfile.ZipInfo, position: int) -> Entry | None:
    steps = [step for part in _decoded(info).replace("\\", "/").split("/") if (step := shown(part, _NAME_CHARS))]
    steps = [step for step in steps if step.strip(".") and not (len(step) == 2 and step[1] == ":")]
    if info.is_dir() or not steps or any(step.startswith(".") or step.lower() in _NOT_THE_USERS for step in steps):
        return None
    return Entry("/".join(steps)[-_NAME_CHARS:], steps[-1], info.file_size, _reason(info, steps[-1]), position)


def _decoded(info: zipfile.ZipInfo) -> str:
    """Some programs write UTF-8 and do not say so; read as the old code page it is still the same bytes."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _reason(info: zipfile.ZipInfo, filename: str) -> str:
    if info.flag_bits & archive.ENCRYPTED:
        return "It asks for a password."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "It is a link, not a file."
    if info.compress_type not in _METHODS:
        return "It is packed in a way that cannot be unpacked here."
    if filename.rpartition(".")[2].lower() in _ARCHIVES:
        return "Archives inside archives are not opened. Upload it by itself."
    return "" if info.file_size else "It is empty."
