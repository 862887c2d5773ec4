"""From an opened turn to the response: waited for, or streamed."""

import functools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpResponseBase

from backend.conversations.answers.turns import Event
from backend.conversations.models import Answer, AnswerState
from backend.conversations.rest.programs import shown_answer, started
from backend.conversations.rest.streaming import events_of
from backend.conversations.services import OpenedTurn
from backend.core.awaited import Awaited
from backend.core.event_stream import STILL_HERE, event_stream
from backend.openai_api.completions import Chunks, completion, error_frame
from backend.openai_api.refusals import error_object

Events = AsyncGenerator[Event | None, None]


def whole(opened: OpenedTurn | Answer, *, model: str) -> Awaited:
    return Awaited(functools.partial(_waited_for, opened, model))


def streamed(opened: OpenedTurn | Answer, *, model: str, include_usage: bool) -> Awaited:
    return Awaited(functools.partial(_streamed, opened, model, include_usage))


async def _waited_for(opened: OpenedTurn | Answer, model: str, response: Awaited) -> HttpResponseBase:
    answer, turn = await started(opened)
    if turn is not None:
        await turn.finished()
    return await _ended(answer.pk, model, response)


async def _ended(answer_id: UUID, model: str, response: Awaited) -> HttpResponseBase:
    answer, shown = await shown_answer(answer_id)
    if answer.state != AnswerState.FAILED:
        created = int(answer.created_at.timestamp())
        return response.rendered(completion(shown, model=model, created=created))
    status = answer.error_status or HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "1"
    body = error_object(status=status, code=answer.error_code, message=answer.error_message)
    return response.rendered(body, status)


async def _streamed(
    opened: OpenedTurn | Answer, model: str, include_usage: bool, response: Awaited
) -> HttpResponseBase:
    """The stream begins with the first word or the first heartbeat: what fails before has a status of its own, which
    is what clients decide by whether to try again."""
    answer, turn = await started(opened)
    events = events_of(answer, turn, 0)
    begun = [await anext(events), await anext(events)]
    if begun[-1] is not None and begun[-1].name == "error":
        return await _ended(answer.pk, model, response)
    chunks = Chunks(answer.pk, model=model, include_usage=include_usage)
    return event_stream(_frames(answer.pk, _rejoined(begun, events), chunks))


async def _rejoined(begun: list[Event | None], events: AsyncIterator[Event | None]) -> Events:
    for event in begun:
        yield event
    async for event in events:
        yield event


async def _frames(answer_id: UUID, events: Events, chunks: Chunks) -> AsyncGenerator[bytes, None]:
    yield chunks.first()
    async with aclosing(events):
        async for event in events:
            if event is None:
                yield STILL_HERE
            elif event.name == "delta":
                yield chunks.text(event.data["text"])
            elif event.name == "error":
                yield error_frame(_error(event.data))
            elif event.name == "done":
                _, shown = await shown_answer(answer_id)
                yield chunks.last(shown)


def _error(data: dict[str, Any]) -> dict[str, Any]:
    return error_object(
        status=HTTPStatus.INTERNAL_SERVER_ERROR, code=data["code"], message=f"{data['message']} Nothing was charged."
    )
