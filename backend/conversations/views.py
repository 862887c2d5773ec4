from typing import Any

from django.db.models import Prefetch, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from backend.conversations import services
from backend.conversations.asynchronous import AttachResponse, TurnResponse, TurnView
from backend.conversations.models import Answer, AnswerState, Citation, Conversation, Message
from backend.conversations.running import stop_here
from backend.conversations.search import search
from backend.conversations.serializers import (
    AnswerOutput,
    ConversationChanges,
    ConversationInput,
    ConversationOutput,
    MessageInput,
    MessageOutput,
    OpenedCitationOutput,
    SearchInput,
    SearchOutput,
)
from backend.conversations.services import RequestKey
from backend.conversations.streaming import resume_position
from backend.core.idempotency import fingerprint_of, idempotent, key_of
from backend.users.current import user_of

EVENTS = OpenApiResponse(
    OpenApiTypes.STR,
    "Server-sent events: `meta`, `delta`…, `citations`, `usage`, then one `done` or one `error`. The id of an event "
    "is the number of characters shown so far; sent back as Last-Event-ID it resumes there.",
)
ANSWERED = {(201, "application/json"): AnswerOutput, (200, "text/event-stream"): EVENTS}


@extend_schema(tags=["conversations"])
class ConversationListView(generics.ListCreateAPIView[Conversation]):
    """Your conversations, newest first."""

    serializer_class = ConversationOutput
    filterset_fields = ["bot"]
    queryset = Conversation.objects.none()

    def get_queryset(self) -> QuerySet[Conversation]:
        conversations: QuerySet[Conversation] = Conversation.objects.of(self.request.user)
        return conversations

    @extend_schema(request=ConversationInput, responses={201: ConversationOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        fields = ConversationInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given = fields.validated_data
        conversation = services.create_conversation(
            user=user_of(request), bot_id=given["bot"], title=given.get("title", "")
        )
        return Response(ConversationOutput(conversation).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["conversations"])
class ConversationView(generics.RetrieveAPIView[Conversation]):
    serializer_class = ConversationOutput
    lookup_url_kwarg = "conversation_id"
    queryset = Conversation.objects.none()

    def get_queryset(self) -> QuerySet[Conversation]:
        conversations: QuerySet[Conversation] = Conversation.objects.of(self.request.user)
        return conversations

    @extend_schema(request=ConversationChanges)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        conversation = self.get_object()
        fields = ConversationChanges(data=request.data)
        fields.is_valid(raise_exception=True)
        conversation = services.rename_conversation(conversation=conversation, **fields.validated_data)
        return Response(ConversationOutput(conversation).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        services.delete_conversation(conversation=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["conversations"])
class MessageListView(TurnView, generics.ListCreateAPIView[Message]):
    """What was said, newest first, each message with its answers. POST asks."""

    serializer_class = MessageOutput

    def get_queryset(self) -> QuerySet[Message]:
        if "conversation_id" not in self.kwargs:  # the schema generator has no conversation in hand
            return Message.objects.none()
        conversations = Conversation.objects.of(self.request.user)
        conversation = get_object_or_404(conversations, pk=self.kwargs["conversation_id"])
        answers = Answer.objects.with_citations().order_by("pk")
        messages: QuerySet[Message] = Message.objects.filter(conversation=conversation)
        return messages.prefetch_related(Prefetch("answers", answers))

    @extend_schema(request=MessageInput, responses=ANSWERED)
    def post(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        fields = MessageInput(data=request.data)
        fields.is_valid(raise_exception=True)
        opened = services.ask(
            user=user_of(request),
            conversation_id=kwargs["conversation_id"],
            text=fields.validated_data["text"],
            key=_request_key(request),
        )
        return TurnResponse(opened)


@extend_schema(tags=["conversations"])
class RegenerateView(TurnView, generics.GenericAPIView[Any]):
    """Answer a conversation's newest message again. The earlier answers stay."""

    serializer_class = AnswerOutput
    queryset = Message.objects.none()

    @extend_schema(request=None, responses=ANSWERED)
    def post(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        key = _request_key(request)
        return TurnResponse(services.regenerate(user=user_of(request), message_id=kwargs["message_id"], key=key))


class OwnAnswers(generics.GenericAPIView[Answer]):
    lookup_url_kwarg = "answer_id"
    queryset = Answer.objects.none()

    def get_queryset(self) -> QuerySet[Answer]:
        answers: QuerySet[Answer] = Answer.objects.of(self.request.user).with_citations()
        return answers


@extend_schema(tags=["answers"])
class AnswerView(OwnAnswers, generics.RetrieveAPIView[Answer]):
    """An answer as it stands now; while it runs, what was shown a moment ago."""

    serializer_class = AnswerOutput


@extend_schema(tags=["answers"])
class AnswerEventsView(OwnAnswers, TurnView, generics.GenericAPIView[Answer]):
    """Attach to an answer's stream, running or ended, again and from anywhere in it."""

    serializer_class = AnswerOutput

    @extend_schema(
        parameters=[
            OpenApiParameter("after", int, description="Characters already shown."),
            OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER, description="As `after`."),
        ],
        responses={(200, "text/event-stream"): EVENTS},
    )
    def get(self, request: Request, *_: Any, **__: Any) -> Response:
        return AttachResponse(self.get_object(), after=resume_position(request.headers, request.query_params))


@extend_schema(tags=["answers"])
class AnswerStopView(OwnAnswers, generics.GenericAPIView[Answer]):
    """Stop a running answer; what was shown so far is kept and charged. Repeating it changes nothing."""

    serializer_class = AnswerOutput

    @extend_schema(request=None, responses={202: AnswerOutput})
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        answer = self.get_object()
        if answer.state == AnswerState.STREAMING and services.request_stop(answer=answer):
            stop_here(answer.pk)
        return Response(AnswerOutput(answer).data, status=status.HTTP_202_ACCEPTED)


@extend_schema(tags=["answers"])
class CitationView(generics.RetrieveAPIView[Citation]):
    """One citation with the page it points into, as the page was when it was cited."""

    serializer_class = OpenedCitationOutput
    lookup_field = "marker"

    def get_queryset(self) -> QuerySet[Citation]:
        if "answer_id" not in self.kwargs:  # the schema generator has no answer in hand
            return Citation.objects.none()
        answer = get_object_or_404(Answer.objects.of(self.request.user), pk=self.kwargs["answer_id"])
        return Citation.objects.opened().filter(answer=answer)


@extend_schema(tags=["search"])
class SearchView(generics.GenericAPIView[Any]):
    """Passages of a bot's documents that fit a question, best first. Asks no model and costs nothing."""

    serializer_class = SearchOutput

    @extend_schema(request=SearchInput, responses={200: SearchOutput})
    def post(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        fields = SearchInput(data=request.data)
        fields.is_valid(raise_exception=True)
        found = search(user=user_of(request), bot_id=kwargs["bot_id"], **fields.validated_data)
        return Response(SearchOutput(found).data)


def _request_key(request: Request) -> RequestKey | None:
    key = key_of(request)
    return RequestKey(key, fingerprint_of(request)) if key else None
