"""One request and its answer, down to the socket: an answer can also be cut, reset or written as raw bytes."""

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_transports: dict[tuple[Any, Any], Any] = {}


class OpenProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, which also leaves its transport where an exchange finds it."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        _transports[(self.server, self.client)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _transports.pop((self.server, self.client), None)
        super().connection_lost(exc)


class Exchange:
    """`key` is the API key as the client sent it, or None."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body: bytes, key: str | None) -> None:
        self.scope = scope
        self.key = key
        self.body = body
        self.cut_short = False
        self._receive = receive
        self._send = send

    @property
    def _transport(self) -> Any:
        return _transports[(tuple(self.scope["server"]), tuple(self.scope["client"]))]

    async def gone(self) -> None:
        """Returns when the client has closed its side (or the answer is complete)."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        await self.start(status, {"content-length": str(len(body)), **headers})
        await self._send({"type": "http.response.body", "body": body})

    async def json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        await self.answer(
            status, json.dumps(body).encode(), {"content-type": "application/json; charset=UTF-8", **(headers or {})}
        )

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def send(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    def raw(self, data: bytes) -> None:
        self._transport.write(data)

    def cut(self) -> None:
        """Ends the connection cleanly (FIN) in the middle of the answer."""
        self.cut_short = True
        self._transport.close()

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self.cut_short = True
        transport = self._transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
