"""Real servers for tests: an ASGI application under uvicorn, in a thread, on a free port of 127.0.0.1."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

START_SECONDS = 30.0
STOP_SECONDS = 15.0
# For clients of plain HTTP: reading the usual certificates takes each of them 30 ms.
PLAIN = httpx.create_ssl_context(verify=False)


class ServerError(RuntimeError):
    """The server of a test did not come up or did not stop."""


class _Server(uvicorn.Server):
    """Ends at once where uvicorn's own looks ten times a second whether it shall, and then waits a tenth more."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()

    def stop(self) -> None:
        """From any thread."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._asked.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        if not self.should_exit:
            await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0.001)  # connections that idled are closed now
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        else:
            await self.lifespan.shutdown()


@contextmanager
def serve(app: Any, *, grace: int = 1, port: int = 0) -> Iterator[str]:
    """The base URL, such as `http://127.0.0.1:43121`. Requests still open at the end have `grace` seconds, then are
    cancelled.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        app, log_config=None, ws="websockets-sansio", lifespan="on", timeout_graceful_shutdown=grace
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="test-server", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        thread.join(STOP_SECONDS)
        listener.close()
    if thread.is_alive():
        raise ServerError("The server is still running.")


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise ServerError("The server did not start; its log says why.")
        time.sleep(0.005)
