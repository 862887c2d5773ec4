"""Scripted misbehaviour: which route, which fault, how many times. The names are those of promise R20 and its kin.

Wire faults replace the whole answer and are the same for every vendor; the others are played by the vendor's handler.
"""

import asyncio
import functools
import itertools
import json
import threading
import zlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tests.emulators.exchange import Exchange

STATUS_FAULTS = {"400": 400, "401": 401, "403": 403, "404": 404, "429": 429, "500": 500, "503": 503, "echo_key": 400}
WIRE_FAULTS = frozenset(STATUS_FAULTS) | {
    "html502",
    "rst",
    "hang",
    "slowhdr",
    "empty200",
    "notjson",
    "wrongshape",
    "redirect",
    "gzipbomb",
    "hugeline",
    "longjson",
    "badbytes",
    "dripbody",
    "cutbody",
}
STREAM_FAULTS = frozenset(
    {
        "err_first",
        "err_mid",
        "cut",
        "cutrst",
        "stall",
        "drip",
        "badutf8",
        "clock",
        "nul",
        "safety",
        "blocked",
        "nofinish",
        "maxtok",
        "oddfinish",
        "neguse",
        "nouse",
        "forever",
        "fakesse",
        "xss",
    }
)
VECTOR_FAULTS = frozenset({"dim", "nan", "zero", "short", "novalues", "unnormalised"})
STORE_FAULTS = frozenset({"ignored", "no_lsn", "foreign_ids", "unordered"})
FAULTS = WIRE_FAULTS | STREAM_FAULTS | VECTOR_FAULTS | STORE_FAULTS


@dataclass(frozen=True, slots=True)
class Fault:
    """`header` False leaves the wait to the body. `skip` calls are still fine, `times` misbehave, and then all is fine
    again; None is for ever. `after` is the number of good pieces before it strikes, `seconds` its pace where it has
    one, `megabytes` its size where it has one."""

    kind: str
    times: int | None = None
    skip: int = 0
    retry_after: float | None = None
    header: bool = True
    after: int = 2
    seconds: float = 0.05
    megabytes: int = 64

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"no such fault: {self.kind}")
        if self.kind == "gzipbomb":
            _gzip_bomb(self.megabytes)  # made beforehand, so that it arrives before anybody's patience ends


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds before the answer, and before each piece of a stream."""

    call: float = 0.0
    piece: float = 0.0


class Script:
    """What each route does next. `"*"` stands for every route."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, list[Fault]] = {}
        self._latency: dict[str, Latency] = {}

    def fault(self, route: str, kind: str, **options: Any) -> None:
        with self._lock:
            self._faults.setdefault(route, []).append(Fault(kind, **options))

    def latency(self, route: str, *, call: float = 0.0, piece: float = 0.0) -> None:
        with self._lock:
            self._latency[route] = Latency(call, piece)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._latency.clear()

    def take(self, route: str) -> Fault | None:
        with self._lock:
            for name in (route, "*"):
                queue = self._faults.get(name)
                if queue:
                    return self._use(queue)
        return None

    def pace(self, route: str) -> Latency:
        with self._lock:
            return self._latency.get(route) or self._latency.get("*") or Latency()

    def state(self) -> dict[str, Any]:
        with self._lock:
            return {
                "faults": {route: [asdict(fault) for fault in queue] for route, queue in self._faults.items() if queue},
                "latency": {route: asdict(latency) for route, latency in self._latency.items()},
            }

    def command(self, order: dict[str, Any]) -> None:
        """`{"reset": true, "faults": [{"route": "query", "kind": "503"}], "latency": [{"route": "*", "call": 1}]}`"""
        if order.get("reset"):
            self.clear()
        known = {item.name for item in fields(Fault)}
        for entry in order.get("faults", []):
            self.fault(entry["route"], **{name: value for name, value in entry.items() if name in known})
        for entry in order.get("latency", []):
            self.latency(entry["route"], call=entry.get("call", 0.0), piece=entry.get("piece", 0.0))

    @staticmethod
    def _use(queue: list[Fault]) -> Fault | None:
        fault = queue[0]
        if fault.skip:
            queue[0] = replace(fault, skip=fault.skip - 1)
            return None
        if fault.times is not None:
            if fault.times <= 1:
                queue.pop(0)
            else:
                queue[0] = replace(fault, times=fault.times - 1)
        return fault


async def misbehave(exchange: Exchange, fault: Fault, error: Any) -> None:
    """Plays a wire fault to its end. `error(status, message, retry_after)` is the vendor's error body."""
    if fault.kind in STATUS_FAULTS:
        await _refuse(exchange, fault, error)
    elif fault.kind == "rst":
        exchange.reset()
    elif fault.kind == "hang":
        await asyncio.Event().wait()
    elif fault.kind == "slowhdr":
        await _slow_headers(exchange, fault.seconds)
    elif fault.kind == "hugeline":
        await _huge_line(exchange, fault.megabytes)
    elif fault.kind in ("dripbody", "cutbody"):
        await _slow_body(exchange, fault)
    elif fault.kind == "gzipbomb":
        await exchange.answer(
            200, _gzip_bomb(fault.megabytes), {"content-encoding": "gzip", "content-type": "application/json"}
        )
    else:
        status, headers, body = _PLAIN[fault.kind]
        await exchange.answer(status, body, headers)


_PLAIN: dict[str, tuple[int, dict[str, str], bytes]] = {
    "html502": (502, {"content-type": "text/html"}, b"<html><title>502 Bad Gateway</title><h1>nginx</h1></html>"),
    "empty200": (200, {"content-type": "application/json"}, b""),
    "notjson": (200, {"content-type": "application/json"}, b"Service is warming up, please hold the line"),
    "wrongshape": (
        200,
        {"content-type": "application/json"},
        json.dumps({"candidates": "seven", "matches": 7, "embeddings": 7}).encode(),
    ),
    "longjson": (200, {"content-type": "application/json"}, b"not json, " * 100_000),
    "badbytes": (200, {"content-type": "application/json"}, b'{"namespace": "\xff\xfe"}'),
    "redirect": (307, {"location": "/__elsewhere"}, b""),
}


async def _refuse(exchange: Exchange, fault: Fault, error: Any) -> None:
    status = STATUS_FAULTS[fault.kind]
    message = f"scripted fault {status}"
    if fault.kind == "echo_key":
        message = f"cannot do this for key {exchange.key}"
    headers = {} if fault.retry_after is None or not fault.header else {"retry-after": f"{fault.retry_after:g}"}
    await exchange.json(status, error(status, message, fault.retry_after), headers)


async def _slow_headers(exchange: Exchange, seconds: float) -> None:
    exchange.raw(b"HTTP/1.1 200 OK\r\nx-padding: ")
    while True:
        await asyncio.sleep(seconds)
        exchange.raw(b"a")


async def _slow_body(exchange: Exchange, fault: Fault) -> None:
    """An answer that never ends, a byte at a time; or one that is cut after some."""
    await exchange.start(200, {"content-type": "application/json", "connection": "close"})
    for _ in range(5) if fault.kind == "cutbody" else itertools.repeat(None):
        await exchange.send(b" ")
        await asyncio.sleep(fault.seconds / 5)
    exchange.cut()


async def _huge_line(exchange: Exchange, megabytes: int) -> None:
    await exchange.start(200, {"content-type": "text/event-stream"})
    await exchange.send(b'data: {"candidates": [{"content": {"role": "model", "parts": [{"text": "')
    for _ in range(megabytes):
        await exchange.send(b"a" * 2**20)
    await exchange.finish()


@functools.lru_cache(maxsize=2)
def _gzip_bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(level=1, wbits=31)
    block = bytes(2**20)
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()
