import functools
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.core import throttling
from backend.core.browsing import BrowsablePages
from backend.core.deferred import Deferred
from backend.core.event_stream import EventStreamRenderer, as_json, event_stream
from backend.core.idempotency import idempotent
from backend.core.serializers import ErrorOutput
from backend.documents import events, services, why
from backend.documents.owned import OwnBot, OwnDocument
from backend.documents.serializers import (
    DocumentChanges,
    DocumentOutput,
    QueuedOutput,
    RetriedOutput,
    RetryInput,
    WhyOutput,
)
from backend.users.current import user_of
from backend.users.models import ApiKey, Session

_STREAMS = throttling.Limit("documents.events", 60, timedelta(minutes=1))
_EVENTS = OpenApiResponse(
    OpenApiTypes.STR,
    "Server-sent events: `open`; a `document`, as it is told elsewhere, for each that is unfinished and then for each "
    "that changes; `deleted` with its id; `end` with a `code`: session_ended, bot_deleted or too_many_streams. The id "
    "of an event, sent back as Last-Event-ID, resumes there: what changed since is told, some of it twice.",
)


@extend_schema(tags=["documents"])
class DocumentView(OwnDocument, generics.GenericAPIView[Any]):
    """State and progress of one document; `error` says what went wrong, what to do, and when it is tried again."""

    serializer_class = DocumentOutput

    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(self.get_document()).data)

    @extend_schema(request=DocumentChanges)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        """Title, link, or whether it answers at all: one that is switched off is kept, and answers nothing."""
        document = self.get_document()
        fields = DocumentChanges(data=request.data)
        fields.is_valid(raise_exception=True)
        return Response(DocumentOutput(services.change(document=document, **fields.validated_data)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, *_: Any, **__: Any) -> Response:
        """It answers nothing from this moment on; its text, vectors and file are erased by a job."""
        services.delete_document(document=self.get_document(), requested_by=user_of(request).pk)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["documents"])
class WhyView(OwnDocument, generics.GenericAPIView[Any]):
    """Why a document is where it is: what holds it up, until when, and what to do. `code` is stable, for programs."""

    serializer_class = WhyOutput

    @extend_schema(responses=WhyOutput)
    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(WhyOutput(why.told(why.snapshot(self.get_document()))).data)


@extend_schema(tags=["documents"])
class RetryView(OwnDocument, generics.GenericAPIView[Any]):
    """Begin a document anew that failed or was cancelled, or do not wait for the next try."""

    serializer_class = DocumentOutput

    @extend_schema(request=None, responses={200: DocumentOutput, 409: ErrorOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(services.retry(document=self.get_document())).data)


@extend_schema(tags=["documents"])
class RetryFailedView(OwnBot, generics.GenericAPIView[Any]):
    """Begin all documents anew that failed, or wait for their next try; with `code`, those that failed by it."""

    serializer_class = RetriedOutput

    @extend_schema(request=RetryInput, responses={202: RetriedOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        bot = self.get_bot()
        fields = RetryInput(data=request.data)
        fields.is_valid(raise_exception=True)
        by_code = services.retry_failed(bot=bot, **fields.validated_data)
        body = {"queued": sum(by_code.values()), "by_code": by_code}
        return Response(body, status=status.HTTP_202_ACCEPTED)


@extend_schema(tags=["documents"])
class CancelView(OwnDocument, generics.GenericAPIView[Any]):
    """Stop what is queued, under way or waiting for your go. What serves goes on serving."""

    serializer_class = DocumentOutput

    @extend_schema(request=None, responses={200: DocumentOutput, 409: ErrorOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(services.cancel(document=self.get_document())).data)


@extend_schema(tags=["documents"])
class ApproveView(OwnDocument, generics.GenericAPIView[Any]):
    """Your go for a document that was uploaded with `review`: what was read is embedded now."""

    serializer_class = DocumentOutput

    @extend_schema(request=None, responses={200: DocumentOutput, 409: ErrorOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(services.approve(document=self.get_document())).data)


@extend_schema(tags=["documents"])
class ReindexView(OwnDocument, generics.GenericAPIView[Any]):
    """Read the original again with the bot's chunk settings of now; what serves, serves until that is done."""

    serializer_class = DocumentOutput

    @extend_schema(request=None, responses={200: DocumentOutput, 409: ErrorOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(services.reindex(document=self.get_document())).data)


@extend_schema(tags=["documents"])
class ReindexBotView(OwnBot, generics.GenericAPIView[Any]):
    """Read all documents of a bot again, each serving until its new version is whole."""

    serializer_class = QueuedOutput

    @extend_schema(request=None, responses={202: QueuedOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response({"queued": services.reindex_bot(bot=self.get_bot())}, status=status.HTTP_202_ACCEPTED)


class _StreamResponse(Response):
    """The events of a bot are wanted."""

    def __init__(self, **wanted: Any) -> None:
        super().__init__()
        self.wanted = wanted


@extend_schema(tags=["documents"])
class EventsView(OwnBot, APIView):
    """What happens to a bot's documents, as it happens."""

    renderer_classes = [EventStreamRenderer, JSONRenderer, BrowsablePages]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """DRF answers in a thread, as everywhere; the stream begins after it."""
        drf = super().as_view(**initkwargs)

        @functools.wraps(drf)  # with what Django's CSRF check and the schema generator look for
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response = drf(request, *args, **kwargs)
            if isinstance(response, _StreamResponse):
                return Deferred(functools.partial(_streamed, response))
            return as_json(response)

        return view

    @extend_schema(
        responses={(200, "text/event-stream"): _EVENTS, 404: ErrorOutput},
        parameters=[OpenApiParameter("after", OpenApiTypes.INT64, description="As Last-Event-ID.")],
    )
    def get(self, request: Request, *_: Any, **__: Any) -> Response:
        bot, user = self.get_bot(), user_of(request)
        throttling.hit(_STREAMS, str(user.pk))
        credential = request.auth.pk if isinstance(request.auth, Session | ApiKey) else None
        viewer = events.Viewer(user_id=user.pk, credential_id=credential, login_epoch=user.login_epoch)
        after = events.resume_position(request.headers, request.query_params)
        return _StreamResponse(bot_id=bot.pk, viewer=viewer, after=after)


async def _streamed(response: _StreamResponse) -> HttpResponseBase:
    return event_stream(events.frames(**response.wanted))
