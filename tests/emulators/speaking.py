"""What an emulated model says, whatever its vendor's wire: pieces of text, one reason to end, tokens; and how stream
faults bend it.
"""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.emulators import reading
from tests.emulators.acting import Call, Scene
from tests.emulators.emulator import Request

PIECE_WORDS = 4
FAKE_SSE = (
    'All is well.\n\nevent: done\ndata: {"finish_reason": "stop"}\n\nevent: credits\ndata: {"balance": 999999}\n\nBye.'
)
XSS = "<script>alert(document.cookie)</script><img src=x onerror=alert(1)> [1](javascript:alert(1))"

CLOCK, CLOCK_PIECES = "@clock", 24
"""What a stream says that tells the time: each piece the seconds of the monotonic clock at which it is sent."""

Reason = Literal["stop", "length", "safety", "odd", "tools"]


@dataclass(frozen=True, slots=True)
class Tokens:
    read: int
    written: int


@dataclass(frozen=True, slots=True)
class Said:
    """One step of an answer. `tokens` so far, None where the vendor does not tell; the last step alone has a reason,
    and under some faults not even that one.
    """

    text: str
    tokens: Tokens | None
    reason: Reason | None = None
    last: bool = False
    calls: Sequence[Call] = ()


def spoken(
    question: str, system: str, limit: int | None, kind: str, *, images: int = 0, scene: Scene | None = None
) -> Iterator[Said]:
    """`limit` is of written tokens; `kind` the fault's or empty; `scene` where it was told of tools."""
    read = tokens_of(question) + sum(map(tokens_of, scene.results if scene else ()))
    if scene and (calls := scene.calls()):
        yield Said("I shall look. ", _told(kind, read, 4))
        yield Said("", _told(kind, read, 4 + 10 * len(calls)), "tools", last=True, calls=calls)
        return
    written = 0
    reason: Reason = "stop"
    for piece in _pieces(question, system, kind, images, scene):
        if kind != "forever" and limit is not None and written + tokens_of(piece) > limit:
            reason = "length"
            break
        written += tokens_of(piece)
        yield Said(piece, _told(kind, read, written))
    bent: dict[str, Reason | None] = {"safety": "safety", "maxtok": "length", "oddfinish": "odd", "nofinish": None}
    yield Said("", _told(kind, read, written), bent.get(kind, reason), last=True)


def tokens_of(text: str) -> int:
    return max(1, len(text) // 4) if text else 0


async def play(request: Request, events: Iterable[bytes], *, failure: Callable[[int], bytes], text_key: bytes) -> None:
    """Sends the events as a stream, bent by the request's fault. `failure(status)` is the vendor's event for an error
    in mid-stream, `text_key` what stands before a text in an event.
    """
    exchange, fault = request.exchange, request.fault
    kind = fault.kind if fault else ""
    await exchange.start(200, {"content-type": "text/event-stream", "vary": "origin"})
    async for data in _bent(events, request, failure, text_key):
        await exchange.send(data)
        request.call.pieces += 1
    if kind in ("cut", "cutrst"):
        await asyncio.sleep(0.02)  # what was sent is on its way before the connection ends
        exchange.cut() if kind == "cut" else exchange.reset()
        return
    if kind == "stall":
        await asyncio.Event().wait()
    await exchange.finish()


def spoilt(vectors: Sequence[list[float]], kind: str | None) -> list[list[float] | None]:
    """The vectors with the last one bent by a vector fault, or missing."""
    ways: dict[str, Callable[[list[float]], list[float] | None]] = {
        "dim": lambda vector: vector[:-1],
        "nan": lambda vector: [float("nan"), *vector[1:]],
        "zero": lambda vector: [0.0] * len(vector),
        "unnormalised": lambda vector: [7.0 * value for value in vector],
        "novalues": lambda _: None,
    }
    if kind == "short":
        return [*vectors[:-1]]
    if kind in ways:
        return [*vectors[:-1], ways[kind](vectors[-1])]
    return [*vectors]


async def _bent(
    events: Iterable[bytes], request: Request, failure: Callable[[int], bytes], text_key: bytes
) -> AsyncIterator[bytes]:
    fault = request.fault
    kind = fault.kind if fault else ""
    if kind == "err_first":
        yield failure(503)
        return
    for number, data in enumerate(events):
        await asyncio.sleep(request.latency.piece)
        strikes = fault is not None and number == fault.after
        if strikes and kind in ("cut", "cutrst", "stall"):
            return
        if strikes and kind == "err_mid":
            yield failure(500)
            return
        if strikes and kind == "badutf8":
            data = data.replace(text_key + b'"', text_key + b'"\xff\xfe')
        if kind == "clock":
            data = data.replace(CLOCK.encode(), f"{time.monotonic():.6f}".encode())
        if fault is not None and kind == "drip":
            for place in range(len(data)):
                await asyncio.sleep(fault.seconds)
                yield data[place : place + 1]
        else:
            yield data


def _pieces(question: str, system: str, kind: str, images: int, scene: Scene | None) -> Iterator[str]:
    if kind == "forever":
        while True:
            yield "and so on "
    if kind == "clock":
        yield from itertools.repeat(f"{CLOCK} ", CLOCK_PIECES)
        return
    if kind in ("fakesse", "xss"):
        yield FAKE_SSE if kind == "fakesse" else XSS  # in one piece, where it would do the most harm
        return
    text = f"I see {images} images. " if images else ""
    text += scene.answer(system) if scene else reading.answer(question, system)
    if kind == "nul":
        text = f"{text[:5]}\x00{text[5:]}"
    words = re.findall(r"\S+\s*|\s+", text)
    for start in range(0, len(words), PIECE_WORDS):
        yield "".join(words[start : start + PIECE_WORDS])


def _told(kind: str, read: int, written: int) -> Tokens | None:
    if kind == "nouse":
        return None
    return Tokens(read, -written if kind == "neguse" else written)
