from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from backend.bots.models import Bot
from backend.conversations.models import Answer, Conversation
from backend.core.pagination import NewestFirst
from backend.feedback import services
from backend.feedback.models import Feedback, Rating
from backend.feedback.serializers import (
    FeedbackInput,
    FeedbackOutput,
    OwnersReceiptOutput,
    ReceivedOutput,
    UnansweredOutput,
)
from backend.feedback.unanswered import Why, unanswered


@extend_schema(tags=["feedback"])
class FeedbackView(generics.GenericAPIView[Feedback]):
    """What you think of an answer to you. The bot's owner reads it together with your question and the answer, without
    your name."""

    serializer_class = FeedbackOutput
    queryset = Feedback.objects.none()

    def get(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        feedback = get_object_or_404(Feedback.objects.of(request.user), answer=kwargs["answer_id"])
        return Response(FeedbackOutput(feedback).data)

    @extend_schema(request=FeedbackInput)
    def put(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        """Say what you think of an answer to you. The bot's owner reads it, without your name."""
        answer = self._answer(request, kwargs)
        fields = FeedbackInput(data=request.data)
        fields.is_valid(raise_exception=True)
        return Response(FeedbackOutput(services.give(answer=answer, **fields.validated_data)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        """Take back what you said of an answer."""
        services.take_back(answer=self._answer(request, kwargs))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, request: Request, kwargs: dict[str, Any]) -> Answer:
        return get_object_or_404(Answer.objects.of(request.user), pk=kwargs["answer_id"])


@extend_schema(tags=["feedback"])
class ConversationFeedbackView(generics.ListAPIView[Feedback]):
    """What you said about the answers of one conversation."""

    serializer_class = FeedbackOutput

    def get_queryset(self) -> QuerySet[Feedback]:
        if "conversation_id" not in self.kwargs:  # the schema generator has no conversation in hand
            return Feedback.objects.none()
        conversations = Conversation.objects.of(self.request.user)
        conversation = get_object_or_404(conversations, pk=self.kwargs["conversation_id"])
        given: QuerySet[Feedback] = Feedback.objects.filter(answer__conversation=conversation)
        return given


class OwnBotsFeedback(generics.GenericAPIView[Any]):
    def bot(self) -> Bot:
        return get_object_or_404(Bot.objects.owned_by(self.request.user), pk=self.kwargs["bot_id"])


class ReceivedFilter(django_filters.FilterSet):
    rating = django_filters.ChoiceFilter(choices=Rating.choices)
    commented = django_filters.BooleanFilter(method="with_comment", label="whether it comes with a comment")
    since = django_filters.IsoDateTimeFilter("created_at", lookup_expr="gte")

    def with_comment(self, given: QuerySet[Feedback], _name: str, value: bool) -> QuerySet[Feedback]:
        return given.exclude(comment="") if value else given.filter(comment="")


@extend_schema(tags=["feedback"])
class ReceivedView(OwnBotsFeedback, generics.ListAPIView[Feedback]):
    """What those who asked think of your bot's answers, newest first, with the question and the answer that they chose
    to show you by saying so. Who they are is not told."""

    serializer_class = ReceivedOutput
    filterset_class = ReceivedFilter

    def get_queryset(self) -> QuerySet[Feedback]:
        if "bot_id" not in self.kwargs:  # the schema generator has no bot in hand
            return Feedback.objects.none()
        received: QuerySet[Feedback] = Feedback.objects.about(self.bot())
        return received.select_related("answer__message")


@extend_schema(tags=["feedback"])
class ReceiptView(OwnBotsFeedback):
    """What an answer that was rated was made from: your bot's passages, its settings, the checks."""

    serializer_class = OwnersReceiptOutput
    queryset = Answer.objects.none()

    def get(self, _request: Request, *_: Any, **kwargs: Any) -> Response:
        feedback = get_object_or_404(Feedback.objects.about(self.bot()), pk=kwargs["feedback_id"])
        answer = Answer.objects.with_citations().select_related("receipt").get(pk=feedback.answer_id)
        return Response(OwnersReceiptOutput(answer).data)


class OftenOrLately(CursorPagination):
    page_size = NewestFirst.page_size
    page_size_query_param = NewestFirst.page_size_query_param
    max_page_size = NewestFirst.max_page_size
    ordering = ("-last_asked_at", "asked")

    def get_ordering(self, request: Request, _queryset: Any, _view: Any) -> tuple[str, ...]:
        return ("-count", "asked") if request.query_params.get("sort") == "often" else self.ordering


class UnansweredFilter(django_filters.FilterSet):
    sort = django_filters.ChoiceFilter(
        choices=[("lately", "lately"), ("often", "often")], method="left_to_the_pages", label="`lately` is the default"
    )
    since = django_filters.IsoDateTimeFilter("last_asked_at", lookup_expr="gte")
    why = django_filters.ChoiceFilter(choices=Why.choices, method="left_to_the_query")

    def left_to_the_pages(self, rows: QuerySet[Any], _name: str, _value: str) -> QuerySet[Any]:
        return rows

    left_to_the_query = left_to_the_pages


@extend_schema(tags=["feedback"])
class UnansweredView(OwnBotsFeedback, generics.ListAPIView[Any]):
    """Questions that your bot refused, found nothing for, failed at or answered with bare passages. Those that differ
    only in case, blanks and punctuation are counted together. Who asked is not told."""

    serializer_class = UnansweredOutput
    pagination_class = OftenOrLately
    filterset_class = UnansweredFilter

    def get_queryset(self) -> QuerySet[Any]:
        if "bot_id" not in self.kwargs:  # the schema generator has no bot in hand
            return Answer.objects.none()
        why = self.request.query_params.get("why")
        return unanswered(self.bot(), why=why if why in Why.values else None)
