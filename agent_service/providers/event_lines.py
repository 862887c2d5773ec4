"""What the wires of several vendors have in common: an event stream's lines, within bounds, and the body of a refusal.
Over a response of either httpx.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

MAX_ERROR_BYTES = 64 * 1024
MAX_LINE_BYTES = 2**20
DRAIN_SECONDS = 0.1


class Unreadable(ValueError):
    """An answer that is not what the protocol says."""


class Response(Protocol):
    def aiter_raw(self) -> AsyncIterator[bytes]: ...


async def data_lines(response: Response) -> AsyncIterator[bytes]:
    """What stands behind `data:` in each line; these protocols have one such line in an event. Raises Unreadable."""
    rest = b""
    async for part in response.aiter_raw():
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise Unreadable("a line is too long")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if rest.startswith(b"data:"):
        yield rest[5:].strip()


async def drained(lines: AsyncIterator[bytes]) -> None:
    """Reads to the end of the body, where that is near: only then can the connection be used again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in lines:
                pass


def parsed(data: bytes) -> dict[str, Any]:
    """Raises ValueError. Letters that nobody can read are marked as such."""
    found = json.loads(data.decode("utf-8", "replace"))
    if not isinstance(found, dict):
        raise Unreadable("an event is not an object")
    return found


async def error_body(response: Response) -> Any:
    """As JSON, or the first words of whatever else it is."""
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) > MAX_ERROR_BYTES:
            break
    try:
        return json.loads(body)
    except ValueError:
        return body[:1000].decode("utf-8", "replace")
