"""Real servers for tests: an ASGI application under uvicorn, in a thread, on a free port of 127.0.0.1."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

START_SECONDS = 30.0
STOP_SECONDS = 15.0


class ServerError(RuntimeError):
    """The server of a test did not come up or did not stop."""


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
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="test-server", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
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
