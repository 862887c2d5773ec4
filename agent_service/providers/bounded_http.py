"""An httpx transport that an SDK cannot loosen: time and size limits, no compression, a handle on every open answer.

For httpx and for httpx2, its successor, which some vendors' SDKs are built on: their classes know nothing of each
other and are alike in all that is used here. `bounded_http2` has the other half.
"""

import functools
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import aiohttp
import httpx
from yarl import URL

MAX_BYTES = 16 * 2**20
MAX_CONNECTIONS = 1000


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
    """An answer whose bytes are still to come, up to so many. A library's half adds its class of streams."""

    too_large: ClassVar[type[Exception]]
    library: ClassVar[Any]

    def __init__(self, response: aiohttp.ClientResponse, max_bytes: int, request: Any) -> None:
        self.response = response
        self.status_code = response.status
        self.headers = response.headers
        self._left = max_bytes
        self._request = request

    async def aread(self) -> bytes:
        return b"".join([part async for part in self])

    def aiter_raw(self) -> AsyncIterator[bytes]:
        return self.__aiter__()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated(self.library, self._request):
            while part := await self.response.content.readany():
                self._left -= len(part)
                if self._left < 0:
                    raise self.too_large("the answer is too large", request=self._request)  # type: ignore[call-arg]
                yield part

    async def aclose(self) -> None:
        self.response.close()  # one that was read to its end is with the kept ones already


class Bounding:
    """`read_seconds` is the longest silence. Compressed answers are refused unread: a little gzip can be
    gigabytes. A library's half adds its class of transports, and names its own.

    The libraries are what the SDKs speak; the wire is aiohttp's, whose parser and pool take a quarter of the CPU.
    """

    library: ClassVar[Any]
    bounded: ClassVar[type[Bounded]]

    def __init__(self, *, connect_seconds: float, read_seconds: float, max_bytes: int = MAX_BYTES) -> None:
        self._limits = aiohttp.ClientTimeout(
            total=None, connect=connect_seconds, sock_connect=connect_seconds, sock_read=read_seconds
        )
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Any:
        """For a wire of ours, without what an SDK needs of the library: its half of the CPU. A `Bounded`."""
        return await self._sent("POST", url, headers.items(), content, None)

    async def handle_async_request(self, request: Any) -> Any:
        headers = [(name, value) for name, value in request.headers.multi_items() if name not in _OF_THE_WIRE]
        stream = await self._sent(request.method, str(request.url), headers, await request.aread(), request)
        answer = stream.response
        return self.library.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=stream,
            request=request,
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": (answer.reason or "").encode("latin-1", "replace"),
            },
        )

    async def _sent(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], content: bytes, request: Any
    ) -> Any:
        with _translated(self.library, request):
            answer = await self._opened().request(
                method,
                URL(url, encoded=True),
                data=content,
                headers=[*headers, ("accept-encoding", "identity")],
                skip_auto_headers=_ADDED,
                allow_redirects=False,
                timeout=self._limits,
            )
        if answer.headers.get("content-encoding", "identity") != "identity":
            answer.close()
            raise self.library.DecodingError("a compressed answer, which was not asked for", request=request)
        stream = self.bounded(answer, self._max_bytes, request)
        held = _current.get()
        if held is not None:
            held.hold(stream)
        return stream

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        """Made by the first call: it belongs to the event loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=trusted_roots()),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


_OF_THE_WIRE = {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}
_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What aiohttp would say of itself."""


@contextmanager
def _translated(library: Any, request: Any) -> Iterator[None]:
    """aiohttp's failures as those of the library that the SDK knows."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise library.ConnectTimeout(str(error), request=request) from error
    except aiohttp.ServerTimeoutError as error:
        raise library.ReadTimeout(str(error), request=request) from error
    except aiohttp.ClientConnectorError as error:
        raise library.ConnectError(str(error), request=request) from error
    except (aiohttp.ClientResponseError, aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
        raise library.RemoteProtocolError(str(error), request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        raise library.ReadError(str(error), request=request) from error


class _BoundedStream(Bounded, httpx.AsyncByteStream):
    library: ClassVar[Any] = httpx
    too_large = AnswerTooLarge


class BoundedTransport(Bounding, httpx.AsyncBaseTransport):
    library: ClassVar[Any] = httpx
    bounded = _BoundedStream


def client_over(transport: BoundedTransport) -> httpx.AsyncClient:
    """For an SDK. Redirects are not followed: they would carry the key to wherever the answer points."""
    return httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
