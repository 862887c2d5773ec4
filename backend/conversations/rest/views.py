from typing import Any

from django.db.models import Prefetch, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from backend.conversations import services
from backend.conversations.answers.running import stop_here
from backend.conversations.models import Answer, AnswerState, Citation, Conversation, Message, MessageImage
from backend.conversations.questions.opening import Picture
from backend.conversations.questions.pictures import IMAGES_LIMIT_BYTES, decoded
from backend.conversations.rest.asynchronous import AttachResponse, TurnResponse, TurnView, request_key
from backend.conversations.rest.filters import ConversationFilter
from backend.conversations.rest.search_serializers import filters_of
from backend.conversations.rest.serializers import (
    AnswerOutput,
    ConversationChanges,
    ConversationInput,
    ConversationOutput,
    MessageInput,
    MessageOutput,
    OpenedCitationOutput,
)
from backend.conversations.rest.streaming import resume_position
from backend.core.idempotency import idempotent
from backend.users.current import user_of

EVENTS = OpenApiResponse(
    OpenApiTypes.STR,
    "Server-sent events: `meta`, `delta`… with `step`s between them where the bot's agent takes any, `citations`, "
    "`follow_ups` where there are any, `usage`, then one `done` or one `error`. The id of an event "
    "is the number of characters shown so far; sent back as Last-Event-ID it resumes there.",
)
ANSWERED = {(201, "application/json"): AnswerOutput, (200, "text/event-stream"): EVENTS}


@extend_schema(tags=["conversations"])
class ConversationListView(generics.ListCreateAPIView[Conversation]):
    """Your conversations, newest first."""

    serializer_class = ConversationOutput
    filterset_class = ConversationFilter
    queryset = Conversation.objects.none()

    def get_queryset(self) -> QuerySet[Conversation]:
        conversations: QuerySet[Conversation] = Conversation.objects.of(self.request.user)
        return conversations

    @extend_schema(request=ConversationInput, responses={201: ConversationOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """Begin a conversation with a bot."""
        fields = ConversationInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given = fields.validated_data
        conversation = services.create_conversation(
            user=user_of(request), bot_id=given["bot"], title=given.get("title", "")
        )
        return Response(ConversationOutput(conversation).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["conversations"])
class ConversationView(generics.RetrieveAPIView[Conversation]):
    """One of your conversations."""

    serializer_class = ConversationOutput
    lookup_url_kwarg = "conversation_id"
    queryset = Conversation.objects.none()

    def get_queryset(self) -> QuerySet[Conversation]:
        conversations: QuerySet[Conversation] = Conversation.objects.of(self.request.user)
        return conversations

    @extend_schema(request=ConversationChanges)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        """Rename a conversation."""
        conversation = self.get_object()
        fields = ConversationChanges(data=request.data)
        fields.is_valid(raise_exception=True)
        conversation = services.rename_conversation(conversation=conversation, **fields.validated_data)
        return Response(ConversationOutput(conversation).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        """Delete a conversation with all that was said."""
        services.delete_conversation(conversation=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["conversations"])
class MessageListView(TurnView, generics.ListCreateAPIView[Message]):
    """What was said, newest first, each message with its answers. POST asks."""

    serializer_class = MessageOutput
    json_limit_bytes = IMAGES_LIMIT_BYTES

    def get_queryset(self) -> QuerySet[Message]:
        if "conversation_id" not in self.kwargs:  # the schema generator has no conversation in hand
            return Message.objects.none()
        conversations = Conversation.objects.of(self.request.user)
        conversation = get_object_or_404(conversations, pk=self.kwargs["conversation_id"])
        answers = Answer.objects.with_citations().order_by("pk")
        messages: QuerySet[Message] = Message.objects.filter(conversation=conversation)
        images = MessageImage.objects.defer("data")
        return messages.prefetch_related(Prefetch("answers", answers), Prefetch("images", images))

    @extend_schema(request=MessageInput, responses=ANSWERED)
    def post(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        """Ask. The answer comes whole as JSON, or as events while it is made."""
        fields = MessageInput(data=request.data)
        fields.is_valid(raise_exception=True)
        user = user_of(request)
        opened = services.ask(
            user=user,
            conversation_id=kwargs["conversation_id"],
            text=fields.validated_data["text"],
            pictures=self._pictures(fields.validated_data["images"]),
            key=request_key(request),
            filters=filters_of(fields.validated_data.get("filters"), asker=user),
        )
        return TurnResponse(opened)

    def _pictures(self, images: list[dict[str, str]]) -> list[Picture]:
        if images:  # whose conversation it is comes before what is wrong with a picture
            get_object_or_404(Conversation.objects.of(self.request.user), pk=self.kwargs["conversation_id"])
        return decoded([(image["media_type"], image["data"]) for image in images])


@extend_schema(tags=["conversations"])
class RegenerateView(TurnView, generics.GenericAPIView[Any]):
    """Answer a conversation's newest message again. The earlier answers stay."""

    serializer_class = AnswerOutput
    queryset = Message.objects.none()

    @extend_schema(request=None, responses=ANSWERED)
    def post(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        key = request_key(request)
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
