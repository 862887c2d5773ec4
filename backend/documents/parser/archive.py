"""Office files are ZIP archives; what is taken out of one is bounded before and while it is taken out."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from backend.documents.parser.reading import Unreadable

MAX_ENTRIES = 2_000
MAX_TOTAL_BYTES = 200 * 1024 * 1024
MAX_RATIO = 100
ENCRYPTED = 0x1
_MAX_DIRECTORY_BYTES = 1024 * 1024  # 500 for each entry; a directory is read whole before its entries can be counted
_RATIO_FLOOR = 1024 * 1024  # small parts of much repetition are no bombs
_BLOCK_BYTES = 256 * 1024
_BROKEN = (KeyError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError)


class Archive:
    """Raises Unreadable where the archive is broken, encrypted, or promises more than MAX_…"""

    def __init__(self, data: bytes) -> None:
        self._zip = opened(io.BytesIO(data))
        entries = self._zip.infolist()
        if any(entry.flag_bits & ENCRYPTED for entry in entries):
            raise Unreadable("encrypted_file")
        if len(entries) > MAX_ENTRIES or promises_too_much(entries, packed=len(data)):
            raise Unreadable("zip_bomb")

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def part(self, name: str) -> bytes:
        """The whole part; see `blocks`."""
        return b"".join(self.blocks(name))

    def blocks(self, name: str) -> Iterator[bytes]:
        """The part, piece by piece. Raises Unreadable."""
        try:
            entry = self._zip.getinfo(name)
        except KeyError as exc:
            raise Unreadable("corrupt_file") from exc
        return blocks(self._zip, entry)


class _Directory(io.BufferedIOBase):
    """The file while its directory is read, which zipfile does in one piece, as large as it is said to be."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        wanted = _MAX_DIRECTORY_BYTES + 1 if size is None or size < 0 else size
        data = self._file.read(min(wanted, _MAX_DIRECTORY_BYTES + 1))
        if len(data) > _MAX_DIRECTORY_BYTES:
            raise Unreadable("zip_bomb")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def opened(file: IO[bytes]) -> zipfile.ZipFile:
    """Raises Unreadable, also where the list of entries alone is out of all proportion."""
    try:
        return zipfile.ZipFile(_Directory(file))
    except _BROKEN as exc:
        raise Unreadable("corrupt_file") from exc


def promises_too_much(entries: list[zipfile.ZipInfo], *, packed: int) -> bool:
    total = sum(entry.file_size for entry in entries)
    return total > MAX_TOTAL_BYTES or total > max(_RATIO_FLOOR, MAX_RATIO * packed)


def blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The entry's bytes; never more than the directory promised, since the directory may lie. Raises Unreadable."""
    left = entry.file_size
    try:
        with archive.open(entry) as stream:
            while block := stream.read(min(left + 1, _BLOCK_BYTES)):
                left -= len(block)
                if left < 0:
                    raise Unreadable("zip_bomb")
                yield block
    except _BROKEN as exc:
        raise Unreadable("corrupt_file") from exc
