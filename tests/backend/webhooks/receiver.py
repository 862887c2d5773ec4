"""A receiver of webhooks on a real socket, which answers as the test says and checks signatures by the book."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message

    def signed_by(self, secret: str) -> bool:
        """Written from the Standard Webhooks specification, apart from the code under test."""
        key = base64.b64decode(secret.split("_", 1)[1])
        content = self.headers["webhook-id"].encode() + b"." + self.headers["webhook-timestamp"].encode() + b"."
        expected = base64.b64encode(hmac.digest(key, content + self.body, hashlib.sha256)).decode()
        fresh = abs(time.time() - int(self.headers["webhook-timestamp"])) < 300
        return fresh and f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """`answers` are taken in turn, the last one for ever: a status, (status, headers), "close" or seconds to hang."""

    url: str
    answers: list[Any] = field(default_factory=lambda: [204])
    received: list[Received] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    release: threading.Event = field(default_factory=threading.Event)  # whoever hangs goes on
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].split("/")[0])

    def take(self, request: Received) -> Any:
        with self._lock:
            self.received.append(request)
            return self.answers[min(len(self.received), len(self.answers)) - 1]

    def count(self, change: int) -> None:
        with self._lock:
            self.at_once += change
            self.most_at_once = max(self.most_at_once, self.at_once)


@contextmanager
def receiver() -> Iterator[Receiver]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    receiving = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    server.RequestHandlerClass = _handler(receiving)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiving
    finally:
        receiving.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(receiving: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): ", ".join(self.headers.get_all(name) or ()) for name in self.headers}
            receiving.count(1)
            try:
                self._answer(receiving.take(Received(self.path, headers, body)))
            finally:
                receiving.count(-1)

        def do_GET(self) -> None:
            receiving.take(Received(f"GET {self.path}", {}, b""))
            self._status(200, {})

        def _answer(self, answer: Any) -> None:
            if answer == "close":
                self.connection.shutdown(socket.SHUT_RDWR)
            elif isinstance(answer, float):
                receiving.release.wait(answer)
                self._status(204, {})
            else:
                self._status(*(answer if isinstance(answer, tuple) else (answer, {})))

        def _status(self, status: int, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                return  # whoever asked has left

        def log_message(self, *_: Any) -> None:
            return

    return Handler


def wait_for(holds: Callable[[], Any], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
