"""The worker's end of the warm parser server: one process of it for each of ours, replaced when it is gone."""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from types import TracebackType
from typing import IO, Any, Self

from django.conf import settings

_ROOT = str(settings.ROOT)
_PROGRAM = f"""
import sys
sys.path.insert(0, {_ROOT!r})
from backend.documents.parser.server import main
main()
"""
START_SECONDS = 20.0
END_SECONDS = 5.0
_MESSAGE_BYTES = 1024


class ServerGone(Exception):
    """The parser server died or does not answer; its parsers died with it."""


class Parser:
    """A process that reads one file. Leaving the block ends it, and whatever it started."""

    def __init__(self, output: int, channel: socket.socket) -> None:
        self.output = output
        self._channel = channel
        self._messages = channel.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ServerGone):
            self.code()
        self.close()

    def begun(self) -> None:
        """Returns when it runs. Raises ServerGone."""
        self._channel.settimeout(START_SECONDS)
        self._told("pid")
        self._channel.settimeout(END_SECONDS)

    def code(self) -> int:
        """How it ended, once it has; negative for a signal. Raises ServerGone."""
        return self._told("code")

    def close(self) -> None:
        self._messages.close()
        self._channel.close()
        os.close(self.output)

    def _told(self, name: str) -> int:
        try:
            return int(json.loads(self._messages.readline(_MESSAGE_BYTES))[name])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ServerGone from exc


class _Server:
    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, cwd="/",
                start_new_session=True,
            )  # fmt: skip

    def start(self, request: dict[str, Any], file: IO[bytes]) -> Parser:
        """Raises ServerGone."""
        ours, theirs = socket.socketpair()
        output, written = os.pipe()
        parser = Parser(output, ours)
        try:
            with theirs, os.fdopen(written, "wb") as writes:
                descriptors = [file.fileno(), writes.fileno(), theirs.fileno()]
                socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            parser.begun()
        except (OSError, ServerGone) as exc:
            parser.close()
            raise ServerGone from exc
        return parser

    def stop(self) -> None:
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


_asking = threading.Lock()
_server: _Server | None = None


def start_parser(request: dict[str, Any], file: IO[bytes]) -> Parser:
    """For `file`, from its beginning. A server that is gone is replaced once. Raises ServerGone."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    with _asking:
        try:
            return _running().start(request, file)
        except ServerGone:
            _forget()
            return _running().start(request, file)


def stop_server() -> None:
    with _asking:
        _forget()


atexit.register(stop_server)


def _running() -> _Server:
    global _server
    if _server is None:
        _server = _Server()
    return _server


def _forget() -> None:
    global _server
    if _server is not None:
        _server.stop()
        _server = None
