"""The process that reads one file and ends: `python -I -c "… child.main()" REQUEST`, the file on standard input.

Standard output carries one JSON object per line: `{"total": n}`, then each page as the fields of `ParsedPage` and each
refused part as those of `Refused`, then `{"done": true}`; or `{"error": code}` at any time. An end without `done` or
`error` is a crash.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any

from backend.core.text import clean_text
from backend.documents.parser.reading import Refused, Unreadable

_PR_SET_PDEATHSIG = 1
_DESCRIPTORS = 16  # Python opens a file for every encoding it has not met
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def main(arguments: str) -> None:
    request = json.loads(arguments)
    _end_with(request["parent"])
    _leave_the_network()
    try:
        _read(request)
    except Unreadable as exc:
        _write(error=exc.code)
    except MemoryError:
        _write(error="parser_memory")
    except RecursionError:
        _write(error="corrupt_file")


def _read(request: dict[str, Any]) -> None:
    data = sys.stdin.buffer.read()
    reader = importlib.import_module(f"backend.documents.parser.{request['format']}")
    descriptors = getattr(reader, "DESCRIPTORS", _DESCRIPTORS)
    _limit(memory=request["memory"], seconds=request["seconds"], descriptors=descriptors)
    reading = reader.read(data, request["link"]) if getattr(reader, "WANTS_LINK", False) else reader.read(data)
    if reading.total > request["pages"]:
        raise Unreadable("too_many_pages")
    _write(total=reading.total)
    left = request["chars"]
    for page in reading.pages:
        if isinstance(page, Refused):
            _write(part=page.part, reason=page.reason)
            continue
        text = clean_text(page.text)
        left -= len(text)
        if left < 0:
            raise Unreadable("text_too_long")
        _write(**page._replace(text=text)._asdict())
    _write(done=True)


def _write(**message: Any) -> None:
    sys.stdout.buffer.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()


def _end_with(parent: int) -> None:
    """Nobody reads what an orphan finds out; the kernel ends us with our parent, also when it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("The worker is gone.")


def _leave_the_network() -> None:
    """An empty network of our own, where the kernel allows it."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _limit(*, memory: int, seconds: int, descriptors: int) -> None:
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
