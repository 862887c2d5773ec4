"""Office files are ZIP archives; what is taken out of one is bounded before and while it is taken out."""

import io
import zipfile
import zlib

from backend.documents.parser.reading import Unreadable

MAX_ENTRIES = 2_000
MAX_TOTAL_BYTES = 200 * 1024 * 1024
MAX_RATIO = 100
_RATIO_FLOOR = 1024 * 1024  # small parts of much repetition are no bombs
_ENCRYPTED = 0x1


class Archive:
    """Raises Unreadable where the archive is broken, encrypted, or promises more than MAX_…"""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as exc:
            raise Unreadable("corrupt_file") from exc
        self._check(len(data))

    def _check(self, packed: int) -> None:
        entries = self._zip.infolist()
        total = sum(entry.file_size for entry in entries)
        if any(entry.flag_bits & _ENCRYPTED for entry in entries):
            raise Unreadable("encrypted_file")
        if len(entries) > MAX_ENTRIES or total > MAX_TOTAL_BYTES or total > max(_RATIO_FLOOR, MAX_RATIO * packed):
            raise Unreadable("zip_bomb")

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def part(self, name: str) -> bytes:
        """The whole part; never more than the directory promised, since the directory may lie."""
        try:
            promised = self._zip.getinfo(name).file_size
            with self._zip.open(name) as stream:
                data = stream.read(promised + 1)
        except (KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as exc:
            raise Unreadable("corrupt_file") from exc
        if len(data) > promised:
            raise Unreadable("zip_bomb")
        return data
