"""What is to happen when the process is asked to stop, and not only when the server has closed its connections: the
server tells the application no sooner, and waits until then for every open stream."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def when_asked(act: Callable[[], object]) -> Iterator[None]:
    """Inside the block a signal to stop also runs `act` on the running event loop, before whoever listened to it until
    now. Does nothing outside of the main thread, where signals do not arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    listening = {number: signal.getsignal(number) for number in SIGNALS}

    def noticed(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        before: Any = listening[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    for number, before in listening.items():
        if callable(before):
            signal.signal(number, noticed)
    try:
        yield
    finally:
        for number, before in listening.items():
            if signal.getsignal(number) is noticed:
                signal.signal(number, before)
