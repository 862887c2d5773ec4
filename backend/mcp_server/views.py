import functools
from http import HTTPStatus
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backend.conversations.models import Answer
from backend.conversations.rest.programs import shown_answer, started
from backend.conversations.services import OpenedTurn, RequestKey
from backend.core.awaited import Awaited, AwaitedView
from backend.core.event_stream import EventStreamRenderer
from backend.core.idempotency import fingerprint_of, key_of
from backend.mcp_server import calling, guarding, protocol, sessions
from backend.mcp_server.refusals import exception_handler
from backend.users.authentication import CredentialAuthentication
from backend.users.current import user_of

MESSAGE = OpenApiResponse(OpenApiTypes.OBJECT, "One JSON-RPC message: a result, or an error.")


class McpMessageInput(serializers.Serializer[Any]):
    """For the schema alone: `protocol` reads it."""

    jsonrpc = serializers.ChoiceField(choices=["2.0"])
    id = serializers.IntegerField(required=False)
    method = serializers.CharField()
    params = serializers.DictField(required=False)


@extend_schema(tags=["mcp"])
class McpView(AwaitedView):
    """The Model Context Protocol: one message a request, one JSON answer. No stream is kept open: there is no GET."""

    authentication_classes = [CredentialAuthentication]
    renderer_classes = [JSONRenderer, EventStreamRenderer]  # clients accept both; the answer is JSON

    def get_exception_handler(self) -> Any:
        return exception_handler

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        guarding.check_origin(request._request)  # noqa: SLF001 - DRF's own way to Django's request
        super().initial(request, *args, **kwargs)
        if session := request.headers.get(sessions.HEADER):
            sessions.check(session, user_of(request))

    @extend_schema(request=McpMessageInput, responses={200: MESSAGE, 202: None})
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        modern = protocol.speaks_modern(request.headers)
        message = request.data
        try:
            asked = protocol.read(message, request.headers)
            if asked is None:
                return Response(status=HTTPStatus.ACCEPTED)
            result = protocol.answered(asked)
        except protocol.Rejected as rejected:
            message_id = message.get("id") if isinstance(message, dict) else None
            body, status = protocol.rejection(rejected, message_id, modern=modern)
            return Response(body, status)
        if result is None:
            return _called(request, asked)
        response = Response(asked.result(result))
        if asked.method == "initialize":
            response[sessions.HEADER] = sessions.new(user_of(request))
        return response


def _called(request: Request, asked: protocol.Request) -> Response:
    result = calling.call(
        user=user_of(request),
        name=asked.params["name"],
        arguments=asked.params.get("arguments"),
        key=_request_key(request),
    )
    if isinstance(result, OpenedTurn | Answer):
        return Awaited(functools.partial(_answered, asked, result))
    return Response(asked.result(result))


async def _answered(asked: protocol.Request, opened: OpenedTurn | Answer, response: Awaited) -> HttpResponseBase:
    answer, turn = await started(opened)
    if turn is not None:
        await turn.finished()
    ended, shown = await shown_answer(answer.pk)
    return response.rendered(asked.result(calling.answered(ended, shown)))


def _request_key(request: Request) -> RequestKey | None:
    key = key_of(request)
    return RequestKey(key, fingerprint_of(request)) if key else None
