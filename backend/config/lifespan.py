"""What the server tells at its start and its end, which Django itself does not listen to."""

import gc
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from backend import agent_client
from backend.config.stopping import when_asked
from backend.conversations.answers.running import running_turns
from backend.documents.events import end_streams

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


YOUNG = 10_000
"""Objects, until the collector looks: an answer makes some thousands, of which hardly any are in a cycle."""


def with_lifespan(application: Application) -> Application:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await application(scope, receive, send)

    return wrapped


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    running = running_turns()
    # What stands now stands to the end: the collector need not walk over all of Django with every few answers.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    async with agent_client.kept():
        with when_asked(end_streams):  # a turn may finish, but what only tells of documents would go on for ever
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await running.close()
    await send({"type": "lifespan.shutdown.complete"})
