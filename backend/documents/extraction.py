"""Runs the parser in a throw-away process and takes its pages, whatever the file makes of that process."""

import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from django.conf import settings

from backend.documents.forking import ServerGone, start_parser
from backend.documents.formats import FORMATS
from backend.documents.parser import ocr

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
    request = _request(format_name, link)
    try:
        return _extracted(file, request, tick)
    except ServerGone:
        pass  # it was not the file's parser that died
    try:
        return _extracted(file, request, tick)
    except ServerGone as exc:
        raise ExtractionFailed("parser_crashed", crashed=True) from exc


def _request(format_name: str, link: str) -> dict[str, Any]:
    kind = FORMATS.get(format_name)
    return {
        "format": format_name,
        "link": link,
        "ocr": ocr.command(settings.OCR_LANGUAGES),
        "memory": settings.PARSER_MEMORY_BYTES,
        "seconds": settings.PARSER_SECONDS,
        "pages": (kind and kind.max_pages) or settings.PAGES_LIMIT,
        "chars": settings.TEXT_LIMIT_CHARS,
    }


def _extracted(file: IO[bytes], request: dict[str, Any], tick: Callable[[int, int | None], None]) -> Extraction:
    collected = Extraction()
    with start_parser(request, file) as parser:
        for line in _lines(parser.output, request["pages"], lambda: tick(len(collected.pages), collected.total)):
            _take(line, collected)
            if collected.done:
                return collected
        code = parser.code()
    raise _died(code)


def _lines(output: int, pages: int, tick: Callable[[], None]) -> Iterator[bytes]:
    deadline = time.monotonic() + settings.PARSER_SECONDS
    allowance = settings.TEXT_LIMIT_CHARS * _UTF8_BYTES + pages * _PAGE_OVERHEAD_BYTES
    pending: list[bytes] = []
    for block in _blocks(output, deadline, tick):
        allowance -= len(block)
        if allowance < 0:
            raise ExtractionFailed("text_too_long")
        *lines, rest = block.split(b"\n")
        for line in lines:
            yield b"".join(pending) + line
            pending = []
        pending.append(rest)


def _blocks(output: int, deadline: float, tick: Callable[[], None]) -> Iterator[bytes]:
    ticked = 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            readable = selector.select(_POLL_SECONDS)
            now = time.monotonic()
            if now - ticked >= _POLL_SECONDS:
                ticked = now
                tick()
            if now > deadline:
                raise ExtractionFailed("parser_timeout")
            if readable:
                block = os.read(output, _BLOCK_BYTES)
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
