"""HTTP/1.1 by hand, for the load: a client library takes more CPU for a streamed answer than the product may."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

END = b"\r\n0\r\n\r\n"  # of a body in chunks
STATUS = slice(9, 12)  # HTTP/1.1 200 OK


class Refused(RuntimeError):
    """The answer was not a success; its message has the beginning of it."""


class Lines:
    """One kept connection for each lane of the load, as a browser keeps them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @asynccontextmanager
    async def post(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The blocks of a chunked answer as they come, its head and framing among them."""
        content = json.dumps(body).encode()
        head = {"Host": f"{self._host}:{self._port}", "Content-Type": "application/json", **headers}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        lines += [f"Content-Length: {len(content)}", "", ""]
        reader, writer = await self._connected()
        try:
            writer.write("\r\n".join(lines).encode() + content)
            yield self._blocks(reader)
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    async def _blocks(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        tail, begun = b"", False
        while block := await reader.read(65536):
            if not begun and block[STATUS] != b"200":
                raise Refused(repr(block[:600]))
            begun = True
            yield block
            tail = (tail + block)[-len(END) :]
            if tail == END:
                return
        raise Refused(f"the answer broke off after {tail!r}")
