"""An emulator on a real socket of its own. It needs its own protocol class, for the faults below HTTP."""

import socket
import threading
import time
from types import TracebackType
from typing import Generic, Self, TypeVar

import uvicorn

from tests.emulators.emulator import Emulator
from tests.emulators.exchange import OpenProtocol

E = TypeVar("E", bound=Emulator)

START_SECONDS = 10.0


class Bound:
    """A server that has its port, 0 for any, before it serves."""

    def __init__(self, emulator: Emulator, host: str, port: int) -> None:
        # With the protocol named, or asyncio does not turn Nagle's delay off, which adds 40 ms to every answer.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.url = "http://{}:{}".format(*self._socket.getsockname())
        config = uvicorn.Config(
            emulator, http=OpenProtocol, ws="none", log_level="critical", access_log=False, timeout_graceful_shutdown=1
        )
        self.server = uvicorn.Server(config)

    async def serve(self) -> None:
        await self.server.serve([self._socket])

    def run(self) -> None:
        self.server.run([self._socket])


class Running(Generic[E]):
    """In a thread: `with Running(GeminiEmulator()) as gemini: gemini.url`"""

    def __init__(self, emulator: E, port: int = 0) -> None:
        self.emulator = emulator
        self._bound = Bound(emulator, "127.0.0.1", port)
        self._thread = threading.Thread(target=self._bound.run, daemon=True, name=type(emulator).__name__)

    @property
    def url(self) -> str:
        return self._bound.url

    def __enter__(self) -> Self:
        self._thread.start()
        give_up = time.monotonic() + START_SECONDS
        while not self._bound.server.started:
            if not self._thread.is_alive() or time.monotonic() > give_up:
                raise RuntimeError("the emulator did not start")
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bound.server.should_exit = True
        self._thread.join(START_SECONDS)
