"""Server-sent events of an answer: of a turn that runs here, of one that runs elsewhere, of one that has ended."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from uuid import UUID

from rest_framework.renderers import JSONRenderer

from backend.conversations.answers.closing import FOLLOWED, ending
from backend.conversations.answers.turns import Event, Turn, meta_event
from backend.conversations.models import Answer, AnswerState
from backend.conversations.rest.serializers import AnswerOutput
from backend.core.database import in_database
from backend.core.event_stream import STILL_HERE, frame

POLL_SECONDS = 0.5


async def frames_of(answer: Answer, turn: Turn | None, after: int) -> AsyncGenerator[bytes, None]:
    """As they go over the wire; what ends an answer comes at once, and goes at once."""
    together = b""
    async for event in events_of(answer, turn, after):
        if event is None:
            yield STILL_HERE
            continue
        together += frame(event.name, event.data, event.position)
        if event.name not in FOLLOWED:
            yield together
            together = b""


async def events_of(answer: Answer, turn: Turn | None, after: int) -> AsyncIterator[Event | None]:
    """The answer's events from character `after` on, whoever runs it or ran it."""
    if turn is not None:
        async for event in turn.read(after):
            yield event
        return
    yield meta_event(answer)
    while answer.state == AnswerState.STREAMING:
        if len(answer.text) > after:
            piece, after = answer.text[after:], len(answer.text)
            yield Event("delta", {"text": piece}, after)
        else:
            yield None
        await asyncio.sleep(POLL_SECONDS)
        answer = await in_database(_reload, answer_id=answer.pk)
    if len(answer.text) > after:
        yield Event("delta", {"text": answer.text[after:]}, len(answer.text))
    for event in await in_database(_ending, answer=answer):
        yield event


def _reload(*, answer_id: UUID) -> Answer:
    answer: Answer = Answer.objects.get(pk=answer_id)
    return answer


def _ending(*, answer: Answer) -> list[Event]:
    shown = json.loads(JSONRenderer().render(AnswerOutput(Answer.objects.with_citations().get(pk=answer.pk)).data))
    position = len(answer.text)
    if shown["error"]:
        return [Event("error", {**shown["error"], "charged": 0}, position)]
    citations = {
        "citations": shown["citations"],
        "rejected": shown["citations_rejected"],
        "support": shown["support"],
        "text": None,
    }
    done = {"state": shown["state"], "finish_reason": shown["finish_reason"]}
    return [Event(name, data, position) for name, data in ending(citations, shown["follow_ups"], shown["usage"], done)]


def resume_position(headers: Any, query: Any) -> int:
    """Where a reader left off: `Last-Event-ID`, which browsers send by themselves, or `?after=`; else 0."""
    given = str(headers.get("Last-Event-ID") or query.get("after") or "0")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0
