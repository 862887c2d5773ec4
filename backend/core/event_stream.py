"""Server-sent events, as every stream of this API sends them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response

STILL_HERE = b": still here\n\n"  # a comment, so that neither side takes a silent stream for a dead one


class EventStreamRenderer(BaseRenderer):
    """Lets a client ask for `text/event-stream`; the stream itself is made by `event_stream`."""

    media_type = "text/event-stream"
    format = "events"
    charset = None

    def render(self, *_: Any, **__: Any) -> bytes:
        raise TypeError("A stream is not rendered at once.")


class EventStream(StreamingHttpResponse):
    """Its frames as they are: Django's own passes each through a generator that would encode text."""

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        super().__init__(frames, content_type=EventStreamRenderer.media_type)
        self._frames = frames

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._frames


def event_stream(frames: AsyncIterator[bytes]) -> StreamingHttpResponse:
    response = EventStream(frames)
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would otherwise hold the events back
    return response


def frame(name: str, data: Mapping[str, Any], position: int) -> bytes:
    """One line of JSON: whatever a text holds, it cannot end the line and begin an event of its own."""
    line = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {position}\nevent: {name}\ndata: {line}\n\n".encode()


def as_json(response: Response) -> Response:
    """A refusal or a list, asked for as a stream, is JSON all the same."""
    if isinstance(getattr(response, "accepted_renderer", None), EventStreamRenderer):
        response.accepted_renderer = JSONRenderer()
        response.accepted_media_type = JSONRenderer.media_type
    return response


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happened within that time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
