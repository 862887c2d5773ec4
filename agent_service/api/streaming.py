"""Server-sent events, and noticing a caller who has left.

A generator's `finally` inside a framework's streaming response does not run to its end once the caller is gone. Here
the answer is made in a task of its own, which is cancelled when the caller leaves and waited for, so that the model's
connection is closed.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import aclosing
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent_service.api.refusals import error_body, unforeseen
from agent_service.contract import (
    CitationsEvent,
    DeltaEvent,
    DoneEvent,
    ErrorBody,
    FollowUpsEvent,
    ToolCallEvent,
    UsageEvent,
)
from agent_service.errors import AgentServiceError, CallerLeft
from agent_service.pipeline.answering import Event

log = logging.getLogger(__name__)

T = TypeVar("T")

HEARTBEAT = b": still here\n\n"
FRAMES_AHEAD = 32
STOP_SECONDS = 5.0

_NAMES: dict[type[BaseModel], str] = {
    DeltaEvent: "delta",
    CitationsEvent: "citations",
    FollowUpsEvent: "follow_ups",
    UsageEvent: "usage",
    DoneEvent: "done",
    ErrorBody: "error",
    ToolCallEvent: "tool_call",
}


def name_of(event: BaseModel) -> str:
    return _NAMES[type(event)]


def frame(event: Event | ErrorBody) -> bytes:
    """One line of ASCII JSON: no text can end it early, whichever characters a client takes for line ends."""
    return f"event: {name_of(event)}\ndata: {event.model_dump_json(ensure_ascii=True)}\n\n".encode("ascii")


class EventStream(StreamingResponse):
    """Exactly one `done` or `error` at the end; a comment whenever nothing was sent for `heartbeat` seconds; a reader
    who takes nothing for `patience` seconds is given up.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[Event, None], *, heartbeat: float, patience: float) -> None:
        super().__init__((), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._heartbeat = heartbeat
        self._patience = patience

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        frames: asyncio.Queue[bytes | None] = asyncio.Queue(FRAMES_AHEAD)
        maker = asyncio.create_task(self._make(frames))
        sender = asyncio.create_task(self._send(frames, send))
        leaver = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((sender, leaver), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await stopped((maker, sender, leaver))

    async def _make(self, frames: asyncio.Queue[bytes | None]) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    await frames.put(frame(event))
        except AgentServiceError as error:
            await frames.put(frame(error_body(error)))
        except Exception:  # the last resort: whatever happened, the reader is told that it ended
            log.exception("An answer failed in an unforeseen way")
            await frames.put(frame(unforeseen()))
        await frames.put(None)

    async def _send(self, frames: asyncio.Queue[bytes | None], send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        more = True
        while more:
            batch, more = await self._next(frames)
            async with asyncio.timeout(self._patience):
                await send({"type": "http.response.body", "body": batch, "more_body": more})

    async def _next(self, frames: asyncio.Queue[bytes | None]) -> tuple[bytes, bool]:
        """All frames that are there, or a heartbeat after the wait for one; and whether there will be more."""
        try:
            async with asyncio.timeout(self._heartbeat):
                batch = [await frames.get()]
        except TimeoutError:
            return HEARTBEAT, True
        while not frames.empty():
            batch.append(frames.get_nowait())
        return b"".join(one for one in batch if one is not None), batch[-1] is not None


async def until_left(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; cancels it and raises CallerLeft when the caller goes away before."""
    task = asyncio.create_task(work)
    leaver = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((task, leaver), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise CallerLeft
        return task.result()
    finally:
        await stopped((task, leaver))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def stopped(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancels and waits, so that generators are closed before the request ends."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    done, pending = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("A stream ended with %r", error)
    if pending:
        log.warning("%s tasks of a stream did not stop in %s s", len(pending), STOP_SECONDS)
