"""What every emulator has: the control route, the journal, faults and latency around the vendor's own routes."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from tests.emulators.exchange import Exchange
from tests.emulators.faults import WIRE_FAULTS, Fault, Latency, Script, misbehave
from tests.emulators.journal import Call, Journal

CONTROL = "/__control"
ELSEWHERE = "/__elsewhere"


@dataclass(slots=True)
class Request:
    """One vendor request as its handler sees it; `data` is the JSON body, `values` what the route's path named."""

    exchange: Exchange
    call: Call
    data: dict[str, Any]
    query: dict[str, list[str]]
    values: Mapping[str, str]
    host: str
    fault: Fault | None
    latency: Latency


Handler = Callable[[Request], Awaitable[None]]


class VendorError(Exception):
    """A refusal in the vendor's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Emulator:
    """A subclass says how a path is read, how a key is checked and what an error looks like."""

    key_header: str

    def __init__(self, api_key: str | None = None) -> None:
        self.api_key = api_key
        self.script = Script()
        self.journal = Journal()

    def match(self, method: str, path: str) -> tuple[str, Handler, Mapping[str, str]] | None:
        raise NotImplementedError

    def error(self, status: int, message: str, retry_after: float | None = None) -> Any:
        raise NotImplementedError

    def key_in(self, headers: Mapping[str, str]) -> str | None:
        return headers.get(self.key_header)

    def refuse_key(self, key: str | None) -> VendorError | None:
        raise NotImplementedError

    def reset(self) -> None:
        self.script.clear()
        self.journal.clear()

    def fault(self, route: str, kind: str, **options: Any) -> None:
        self.script.fault(route, kind, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        exchange = Exchange(scope, receive, send, await _body(receive), self.key_in(headers))
        if scope["path"] == CONTROL:
            await self._control(exchange)
        else:
            await self._vendor(exchange, headers)

    async def _control(self, exchange: Exchange) -> None:
        if exchange.scope["method"] == "POST":
            try:
                order = json.loads(exchange.body or b"{}")
                self.command(order)
            except (ValueError, TypeError, KeyError) as exc:
                await exchange.json(400, {"error": str(exc)})
                return
        await exchange.json(200, self.state())

    def command(self, order: dict[str, Any]) -> None:
        if order.get("reset"):
            self.journal.clear()
        self.script.command(order)

    def state(self) -> dict[str, Any]:
        return {**self.script.state(), **self.journal.summary()}

    async def _vendor(self, exchange: Exchange, headers: dict[str, str]) -> None:
        scope = exchange.scope
        method, path = scope["method"], scope["path"]
        matched = self.match(method, path)
        route = matched[0] if matched else (ELSEWHERE if path == ELSEWHERE else "unknown")
        body = _parsed(exchange.body)
        call = self.journal.open(route, scope, headers, body)
        if matched is None:
            await exchange.json(404, self.error(404, "no such route"))
            self.journal.close(call, "complete")
            return
        fault = self.script.take(route)
        call.fault = fault.kind if fault else None
        request = Request(
            exchange,
            call,
            body if isinstance(body, dict) else {},
            _query(call.query),
            matched[2],
            headers.get("host", ""),
            fault,
            self.script.pace(route),
        )
        await self._race(request, matched[1])

    async def _race(self, request: Request, handler: Handler) -> None:
        """The answer against the client's leaving; whichever comes first ends the call."""
        work = asyncio.ensure_future(self._play(request, handler))
        gone = asyncio.ensure_future(request.exchange.gone())
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finished = work.done()
        ended = "cut" if request.exchange.cut_short else "complete" if finished else "client_closed"
        self.journal.close(request.call, ended)  # type: ignore[arg-type]
        for task in (work, gone):
            task.cancel()
        await asyncio.wait({work, gone})
        if finished and not work.cancelled():
            work.result()

    async def _play(self, request: Request, handler: Handler) -> None:
        await asyncio.sleep(request.latency.call)
        exchange, fault = request.exchange, request.fault
        if fault and fault.kind in WIRE_FAULTS:
            await misbehave(exchange, fault, self.error)
            return
        try:
            refusal = self.refuse_key(exchange.key)
            if refusal:
                raise refusal
            await handler(request)
        except VendorError as refusal:
            await exchange.json(refusal.status, self.error(refusal.status, str(refusal)))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return {"unreadable": len(body)}


def _query(raw: str) -> dict[str, list[str]]:
    return parse_qs(raw, keep_blank_values=True)
