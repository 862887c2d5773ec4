"""What the process that reads one file does: the file is its standard input.

Standard output carries one JSON object per line: `{"total": n}`, then each page as the fields of `ParsedPage` and each
refused part as those of `Refused`, then `{"done": true}`; or `{"error": code}` at any time. An end without `done` or
`error` is a crash.
"""

import importlib
import json
import resource
import sys
import time
from typing import Any

from backend.documents.parser.reading import ParsedPage, Refused, Unreadable, storable

PACKAGE = "backend.documents.parser"
_DESCRIPTORS = 16  # Python opens a file for every encoding it has not met
_WRITE_BYTES = 64 * 1024
_WRITE_SECONDS = 0.2


def read(request: dict[str, Any]) -> None:
    output = _Output()
    try:
        _read(request, output)
    except Unreadable as exc:
        output.write(error=exc.code)
    except MemoryError:
        output.write(error="parser_memory")
    except RecursionError:
        output.write(error="corrupt_file")
    output.flush()


def _read(request: dict[str, Any], output: "_Output") -> None:
    data = sys.stdin.buffer.read()
    reader = importlib.import_module(f"{PACKAGE}.{request['format']}")
    if prepare := getattr(reader, "prepare", None):
        prepare(ocr=request["ocr"], seconds=request["seconds"])
    descriptors = getattr(reader, "DESCRIPTORS", _DESCRIPTORS)
    limit(memory=request["memory"], seconds=request["seconds"], descriptors=descriptors)
    reading = reader.read(data, request["link"]) if getattr(reader, "WANTS_LINK", False) else reader.read(data)
    if reading.total > request["pages"]:
        raise Unreadable("too_many_pages")
    output.write(total=reading.total)
    output.flush()
    left = request["chars"]
    for item in map(storable, reading.pages):
        if isinstance(item, ParsedPage):
            left -= len(item.text)
            if left < 0:
                raise Unreadable("text_too_long")
        output.add(item)
    output.write(done=True)


class _Output:
    """Lines, a block of them at a time: a write for each of ten thousand posts takes longer than reading them."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0
        self._flushed = time.monotonic()

    def add(self, item: ParsedPage | Refused) -> None:
        self.write(**item._asdict())

    def write(self, **message: Any) -> None:
        line = json.dumps(message, ensure_ascii=False).encode() + b"\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size > _WRITE_BYTES or time.monotonic() - self._flushed > _WRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        sys.stdout.buffer.write(b"".join(self._lines))
        sys.stdout.buffer.flush()
        self._lines, self._size, self._flushed = [], 0, time.monotonic()


def limit(*, memory: int, seconds: int, descriptors: int) -> None:
    """From here on: no more memory and time than this, nothing written to disk, no core file, few or no new
    descriptors. Called after the imports, which need more, and before the file is looked at."""
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, descriptors),
    ):
        resource.setrlimit(kind, (value, value))
