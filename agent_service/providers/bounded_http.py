"""An httpx transport that an SDK cannot loosen: time and size limits, no compression, a handle on every open answer.

For httpx and for httpx2, its successor, which some vendors' SDKs are built on: their classes know nothing of each
other and are alike in all that is used here. `bounded_http2` has the other half.
"""

import functools
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import httpx

MAX_BYTES = 16 * 2**20
MAX_CONNECTIONS = 1000
KEPT_CONNECTIONS = 50


@functools.cache
def trusted_roots() -> ssl.SSLContext:
    """Read once: it takes 16 ms, and an SDK that is not given one reads it three times for each client."""
    return httpx.create_ssl_context()


class AnswerTooLarge(httpx.DecodingError):
    """The upstream's answer is larger than any that makes sense."""


class Held:
    """The answers begun while it is current. Closing it closes their connections, whatever the SDK still holds."""

    def __init__(self) -> None:
        self._streams: list[Any] = []

    def hold(self, stream: Any) -> None:
        self._streams.append(stream)

    async def aclose(self) -> None:
        while self._streams:
            await self._streams.pop().aclose()


_current: ContextVar[Held | None] = ContextVar("held", default=None)


@contextmanager
def holding(held: Held) -> Iterator[None]:
    token = _current.set(held)
    try:
        yield
    finally:
        _current.reset(token)


class Bounded:
    """An answer's bytes, up to so many. A library's half adds its class of streams."""

    too_large: ClassVar[type[Exception]]

    def __init__(self, stream: Any, max_bytes: int, request: Any) -> None:
        self._stream = stream
        self._left = max_bytes
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self._left -= len(part)
            if self._left < 0:
                raise self.too_large("the answer is too large", request=self._request)  # type: ignore[call-arg]
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class Bounding:
    """`read_seconds` is the longest silence. Compressed answers are refused unread: a little gzip can be
    gigabytes. A library's half adds its class of transports, and names its own.
    """

    library: ClassVar[Any]
    bounded: ClassVar[type[Bounded]]

    def __init__(self, *, connect_seconds: float, read_seconds: float, max_bytes: int = MAX_BYTES) -> None:
        limits = self.library.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=KEPT_CONNECTIONS)
        self._inner = self.library.AsyncHTTPTransport(verify=trusted_roots(), limits=limits, retries=0)
        timeout = self.library.Timeout(read_seconds, connect=connect_seconds, pool=connect_seconds)
        self._timeout = timeout.as_dict()
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: Any) -> Any:
        request.extensions = {**request.extensions, "timeout": self._timeout}
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        stream = response.stream
        if response.headers.get("content-encoding", "identity") != "identity":
            await stream.aclose()
            raise self.library.DecodingError("a compressed answer, which was not asked for", request=request)
        held = _current.get()
        if held is not None:
            held.hold(stream)
        response.stream = self.bounded(stream, self._max_bytes, request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(Bounded, httpx.AsyncByteStream):
    too_large = AnswerTooLarge


class BoundedTransport(Bounding, httpx.AsyncBaseTransport):
    library: ClassVar[Any] = httpx
    bounded = _BoundedStream


def bounded_client(*, connect_seconds: float, read_seconds: float) -> httpx.AsyncClient:
    """Redirects are not followed: they would carry the key to wherever the answer points."""
    transport = BoundedTransport(connect_seconds=connect_seconds, read_seconds=read_seconds)
    return httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
