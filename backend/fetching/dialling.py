"""Connections under httpcore that go to an address which was checked, and whose every wait is bounded."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import httpcore

from backend.fetching import addresses
from backend.fetching.errors import FetchFailed

Resolver = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds: to connect, to the first byte of the answer, between two bytes, and for everything together."""

    connect: float
    first_byte: float
    idle: float
    total: float


class Clock:
    """Of one exchange, redirects included."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._ends = time.monotonic() + patience.total

    def left(self, at_most: float) -> float:
        """Raises FetchFailed when the time is up."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise FetchFailed("timeout")
        return min(left, at_most)


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a name, of both families. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Dialler(httpcore.NetworkBackend):
    """The name is resolved once, every address it has is checked, and one of these addresses is dialled: nobody asks
    the resolver a second time. TLS and the Host header keep the name."""

    def __init__(self, clock: Clock, resolver: Resolver) -> None:
        self._clock = clock
        self._resolver = resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the clock has the say
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        for address in addresses.check(self._resolved(host, port)):
            connected = self._dialled(address, port)
            if connected is not None:
                return Stream(connected, self._clock)
        raise FetchFailed("connect_failed")

    def _dialled(self, address: str, port: int) -> socket.socket | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        dialled = socket.socket(family, socket.SOCK_STREAM)
        try:
            dialled.settimeout(self._clock.left(self._clock.patience.connect))
            dialled.connect((address, port))
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            dialled.close()
            return None
        except BaseException:
            dialled.close()
            raise
        return dialled

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        """In a thread of its own, since the system's resolver takes no time limit."""
        answers: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolver(host, port))
            except (OSError, UnicodeError) as exc:
                answers.put(OSError(str(exc)))

        threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
        try:
            answer = answers.get(timeout=self._clock.left(self._clock.patience.connect))
        except Empty as exc:
            raise FetchFailed("dns_failed") from exc
        if isinstance(answer, OSError):
            raise FetchFailed("dns_failed") from answer
        return answer


class Stream(httpcore.NetworkStream):
    """`httpcore` names a timeout for each read and write; here the clock does, and no drip of bytes outlasts it."""

    def __init__(self, connected: socket.socket, clock: Clock) -> None:
        self._socket = connected
        self._clock = clock
        self._answered = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the clock has the say
        patience = self._clock.patience
        self._socket.settimeout(self._clock.left(patience.idle if self._answered else patience.first_byte))
        try:
            block = self._socket.recv(max_bytes)
        except TimeoutError as exc:
            raise FetchFailed("timeout") from exc
        except OSError as exc:
            raise FetchFailed("protocol_error") from exc
        self._answered = True
        return block

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        left = memoryview(buffer)
        while left:
            self._socket.settimeout(self._clock.left(self._clock.patience.idle))
            try:
                left = left[self._socket.send(left) :]
            except TimeoutError as exc:
                raise FetchFailed("timeout") from exc
            except OSError as exc:
                raise FetchFailed("protocol_error") from exc

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        try:
            self._socket.settimeout(self._clock.left(self._clock.patience.connect))
            return Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname), self._clock)
        except TimeoutError as exc:
            self.close()
            raise FetchFailed("timeout") from exc
        except (OSError, ValueError) as exc:
            self.close()
            raise FetchFailed("tls_failed") from exc

    def get_extra_info(self, info: str) -> Any:
        """Of what httpcore asks for there is nothing to tell: one connection serves one request, over HTTP/1.1."""
        return None if info != "socket" else self._socket
