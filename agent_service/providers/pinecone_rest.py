"""The HTTP client under Pinecone's SDK, in place of its own: that one retries five times, has no time limit, follows
redirects with the key, and prints the key where an environment variable asks for it.
"""

import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, urlencode

import certifi
import urllib3
import urllib3.connection
from pinecone.openapi_support.rest_utils import RestClientInterface, RESTResponse, raise_exceptions_or_return

MAX_BYTES = 32 * 2**20
PART_BYTES = 64 * 1024


class UnreadableAnswer(ValueError):
    """The answer is compressed, which was not asked for, or larger than any that makes sense."""


class OpenRequest:
    """The request that a thread is waiting on, seen from outside: `abandon` closes its connection and so sets the
    thread free."""

    def __init__(self) -> None:
        self._connection: urllib3.connection.HTTPConnection | None = None

    def goes_over(self, connection: urllib3.connection.HTTPConnection) -> None:
        self._connection = connection

    def abandon(self) -> None:
        sock = self._connection.sock if self._connection else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


current_request: ContextVar[OpenRequest | None] = ContextVar("current_request", default=None)
"""Set by whoever may abandon the request; a thread begins with a copy of its caller's context."""


def _note(connection: urllib3.connection.HTTPConnection) -> None:
    request = current_request.get()
    if request is not None:
        request.goes_over(connection)


class _Connection(urllib3.connection.HTTPConnection):
    def getresponse(self) -> Any:
        _note(self)
        return super().getresponse()


class _SecureConnection(urllib3.connection.HTTPSConnection):
    def getresponse(self) -> Any:
        _note(self)
        return super().getresponse()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class BoundedRest(RestClientInterface):
    """One try, with a deadline for the whole of it. Raises TimeoutError and ConnectionError for what is not an HTTP
    answer."""

    def __init__(self, *, connect_seconds: float, seconds: float, connections: int) -> None:
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=seconds)
        self._seconds = seconds
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, ca_certs=certifi.where())
        self._pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        self._of_thread = threading.local()

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the last answer in this thread."""
        headers: Mapping[str, str] = getattr(self._of_thread, "headers", {})
        return headers

    def request(
        self,
        method: str,
        url: str,
        query_params: Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        post_params: Any = None,  # noqa: ARG002 - the SDK's interface; only its file uploads use it
        _preload_content: bool = True,
        _request_timeout: Any = None,
    ) -> Any:
        self._of_thread.headers = {}
        if query_params:
            url = f"{url}?{urlencode(query_params, quote_via=quote)}"
        try:
            answer = self._exchange(method, url, headers or {}, None if body is None else json.dumps(body))
        except urllib3.exceptions.NewConnectionError as error:
            # Refused at once, or a name nobody knows; to urllib3 this is a kind of timeout.
            raise ConnectionError(type(error).__name__) from error
        except urllib3.exceptions.TimeoutError as error:
            raise TimeoutError(type(error).__name__) from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(type(error).__name__) from error
        self._of_thread.headers = answer.headers
        return raise_exceptions_or_return(answer)

    def close(self) -> None:
        self._pool.clear()

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> RESTResponse:
        deadline = time.monotonic() + self._seconds
        response = self._pool.request(
            method,
            url,
            body=body,
            headers={"content-type": "application/json", **headers},
            timeout=self._timeout,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            data = self._read(response, deadline)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return RESTResponse(response.status, data, response.headers, response.reason)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise UnreadableAnswer("compressed")
        parts: list[bytes] = []
        size = 0
        while part := response.read1(PART_BYTES):
            size += len(part)
            if size > MAX_BYTES:
                raise UnreadableAnswer("too large")
            if time.monotonic() > deadline:
                raise TimeoutError("the answer took too long")
            parts.append(part)
        return b"".join(parts)
