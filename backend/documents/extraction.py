"""Runs the parser in a throw-away process and takes its pages, whatever the file makes of that process."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from django.conf import settings

_ROOT = str(settings.ROOT)
_PROGRAM = f"""
import sys
sys.path.insert(0, {_ROOT!r})
from backend.documents.parser.child import main
main(sys.argv[1])
"""
_POLL_SECONDS = 0.2
_BLOCK_BYTES = 256 * 1024
_PAGE_OVERHEAD_BYTES = 200
_UTF8_BYTES = 4


class ExtractionFailed(Exception):
    """`code` is a name in `failures.FAILURES`; `crashed` where the process died, which may be worth a second try."""

    def __init__(self, code: str, *, crashed: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.crashed = crashed


@dataclass(frozen=True, slots=True)
class ExtractedPage:
    """See `parser.reading.ParsedPage`."""

    label: str
    text: str
    link: str = ""
    author: str = ""
    dated: str = ""


@dataclass(frozen=True, slots=True)
class RefusedPart:
    part: str
    reason: str


@dataclass(slots=True)
class Extraction:
    total: int | None = None
    pages: list[ExtractedPage] = field(default_factory=list)
    refused: list[RefusedPart] = field(default_factory=list)
    done: bool = False


def extract(
    file: IO[bytes], *, format_name: str, link: str = "", tick: Callable[[int, int | None], None]
) -> Extraction:
    """The cleaned text of every page, and what could not be read. `tick(done, total)` is called several times a second;
    what it raises ends the process and rises. Raises ExtractionFailed."""
    collected = Extraction()
    with _child(file, format_name, link) as process:
        for line in _lines(process, lambda: tick(len(collected.pages), collected.total)):
            _take(line, collected)
            if collected.done:
                return collected
        code = process.wait()
    raise _died(code)


@contextmanager
def _child(file: IO[bytes], format_name: str, link: str) -> Iterator[subprocess.Popen[bytes]]:
    """The parser's process, and nothing left of its group afterwards."""
    request = {
        "format": format_name,
        "link": link,
        "memory": settings.PARSER_MEMORY_BYTES,
        "seconds": settings.PARSER_SECONDS,
        "pages": settings.PAGES_LIMIT,
        "chars": settings.TEXT_LIMIT_CHARS,
        "parent": os.getpid(),
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _PROGRAM, json.dumps(request)],
        stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/", start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _lines(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    deadline = time.monotonic() + settings.PARSER_SECONDS
    allowance = settings.TEXT_LIMIT_CHARS * _UTF8_BYTES + settings.PAGES_LIMIT * _PAGE_OVERHEAD_BYTES
    pending: list[bytes] = []
    for block in _blocks(process, deadline, tick):
        allowance -= len(block)
        if allowance < 0:
            raise ExtractionFailed("text_too_long")
        *lines, rest = block.split(b"\n")
        for line in lines:
            yield b"".join(pending) + line
            pending = []
        pending.append(rest)


def _blocks(process: subprocess.Popen[bytes], deadline: float, tick: Callable[[], None]) -> Iterator[bytes]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    descriptor = process.stdout.fileno()
    ticked = 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            readable = selector.select(_POLL_SECONDS)
            now = time.monotonic()
            if now - ticked >= _POLL_SECONDS:
                ticked = now
                tick()
            if now > deadline:
                raise ExtractionFailed("parser_timeout")
            if readable:
                block = os.read(descriptor, _BLOCK_BYTES)
                if not block:
                    return
                yield block


def _take(line: bytes, collected: Extraction) -> None:
    try:
        message: dict[str, Any] = json.loads(line)
    except ValueError as exc:
        raise ExtractionFailed("parser_crashed", crashed=True) from exc
    if "error" in message:
        raise ExtractionFailed(message["error"])
    if "total" in message:
        collected.total = message["total"]
    elif "text" in message:
        collected.pages.append(ExtractedPage(**message))
    elif "part" in message:
        collected.refused.append(RefusedPart(**message))
    else:
        collected.done = True


def _died(code: int) -> ExtractionFailed:
    """A signal is the parser's crash, but for the kernel's word that the time is up; a plain exit is an error in
    Python, which the same file brings about again."""
    if code == -signal.SIGXCPU:
        return ExtractionFailed("parser_timeout")
    return ExtractionFailed("parser_crashed", crashed=True) if code < 0 else ExtractionFailed("corrupt_file")
