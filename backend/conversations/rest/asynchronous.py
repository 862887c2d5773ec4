"""Where DRF, which is synchronous, meets turns, which are not.

DRF does what it does for every other view (authentication, permission, parsing, validation, errors, negotiation) in one
step in a thread; its response then says which turn to wait for or to stream.
"""

import functools
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.conversations.answers.running import running_turns
from backend.conversations.answers.turns import Turn
from backend.conversations.models import Answer, AnswerState
from backend.conversations.questions.opening import OpenedTurn, RequestKey
from backend.conversations.rest.serializers import AnswerOutput
from backend.conversations.rest.streaming import frames_of
from backend.core.api import error_body
from backend.core.browsing import BrowsablePages
from backend.core.database import in_database
from backend.core.deferred import Deferred
from backend.core.event_stream import EventStreamRenderer, as_json, event_stream
from backend.core.idempotency import REPLAYED, fingerprint_of, key_of


class TurnResponse(Response):
    """A question was accepted: the answer is to be streamed or waited for."""

    def __init__(self, opened: OpenedTurn | Answer) -> None:
        super().__init__(status=HTTPStatus.CREATED)
        self.opened = opened
        if isinstance(opened, Answer):
            self[REPLAYED] = "true"


class AttachResponse(Response):
    """An answer's events are wanted from character `after` on."""

    def __init__(self, answer: Answer, *, after: int) -> None:
        super().__init__()
        self.answer = answer
        self.after = after


def request_key(request: Request) -> RequestKey | None:
    key = key_of(request)
    return RequestKey(key, fingerprint_of(request)) if key else None


class TurnView(APIView):
    """A DRF view whose responses may be a TurnResponse or an AttachResponse."""

    renderer_classes = [JSONRenderer, BrowsablePages, EventStreamRenderer]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        drf = super().as_view(**initkwargs)

        @functools.wraps(drf)  # with what Django's CSRF check and the schema generator look for
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response = drf(request, *args, **kwargs)
            if isinstance(response, TurnResponse):
                return Deferred(functools.partial(_answered, response))
            if isinstance(response, AttachResponse):
                return Deferred(functools.partial(_attached, response))
            return as_json(response)

        return view


async def _attached(response: AttachResponse) -> HttpResponseBase:
    turn = running_turns().get(response.answer.pk)
    return event_stream(frames_of(response.answer, turn, response.after))


async def _answered(response: TurnResponse) -> HttpResponseBase:
    answer, turn = await _started(response.opened)
    if isinstance(response.accepted_renderer, EventStreamRenderer):
        stream = event_stream(frames_of(answer, turn, 0))
        if isinstance(response.opened, Answer):
            stream[REPLAYED] = "true"
        return stream
    if turn is not None:
        await turn.finished()
    return await in_database(_rendered, response=response, answer_id=answer.pk)


async def _started(opened: OpenedTurn | Answer) -> tuple[Answer, Turn | None]:
    if isinstance(opened, Answer):
        return opened, None
    return opened.answer, await running_turns().start(opened)


def _rendered(*, response: TurnResponse, answer_id: UUID) -> Response:
    """The ended answer, or the error that a stream would have ended with."""
    answer = Answer.objects.with_citations().get(pk=answer_id)
    response.data = AnswerOutput(answer).data
    if answer.state == AnswerState.FAILED:
        details = {"answer_id": str(answer.pk), "charged": 0, "retryable": answer.error_retryable}
        response.data = error_body(answer.error_code, answer.error_message, details)
        response.status_code = answer.error_status or HTTPStatus.INTERNAL_SERVER_ERROR
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "1"
    response.render()
    return response
