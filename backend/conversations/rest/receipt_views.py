"""What an answer was made from, what the next would be made from, and the images of a question."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from backend.conversations import services
from backend.conversations.models import Answer, Conversation, MessageImage, Receipt
from backend.conversations.questions.context import context_of
from backend.conversations.rest.asynchronous import TurnResponse, TurnView, request_key
from backend.conversations.rest.receipt_serializers import ContextInput, ContextOutput, ReceiptOutput
from backend.conversations.rest.serializers import AnswerOutput
from backend.conversations.rest.views import ANSWERED
from backend.core.serializers import ErrorOutput
from backend.users.current import user_of


@extend_schema(tags=["answers"])
class ReceiptView(generics.RetrieveAPIView[Receipt]):
    """Passages with ranks and scores, the query, the prompt's hash, parameters, checks, timings, price and entries."""

    serializer_class = ReceiptOutput
    lookup_field = "answer_id"
    queryset = Receipt.objects.none()

    def get_queryset(self) -> QuerySet[Receipt]:
        receipts: QuerySet[Receipt] = Receipt.objects.of(self.request.user)
        return receipts


@extend_schema(tags=["answers"])
class ReplayView(TurnView, generics.GenericAPIView[Any]):
    """Give an answer again from the very passages it was given from, with the same model and parameters.

    It is paid as any answer. `same_prompt` says whether the model was given the same, to the letter.
    """

    serializer_class = AnswerOutput
    queryset = Answer.objects.none()

    @extend_schema(request=None, responses=ANSWERED)
    def post(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        key = request_key(request)
        return TurnResponse(services.replay(user=user_of(request), answer_id=kwargs["answer_id"], key=key))


@extend_schema(tags=["conversations"])
class ContextView(generics.GenericAPIView[Any]):
    """What the next answer would be given: instructions, history, and with `question` the passages for it.

    Asks no model and costs nothing.
    """

    serializer_class = ContextOutput

    @extend_schema(parameters=[ContextInput], responses={200: ContextOutput})
    def get(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        fields = ContextInput(data=request.query_params)
        fields.is_valid(raise_exception=True)
        conversations = Conversation.objects.of(request.user).select_related("bot__owner", "bot__version")
        conversation = get_object_or_404(conversations, pk=kwargs["conversation_id"])
        context = context_of(conversation=conversation, user=user_of(request), **fields.validated_data)
        return Response(ContextOutput(context).data)


@extend_schema(tags=["conversations"])
class ImageView(generics.GenericAPIView[Any]):
    """An image of a message as it was sent; always a download, never shown."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, 404: ErrorOutput})
    def get(self, request: Request, *_: Any, **kwargs: Any) -> HttpResponse:
        images = MessageImage.objects.of(request.user).filter(message_id=kwargs["message_id"])
        image = get_object_or_404(images, position=kwargs["position"])
        response = HttpResponse(bytes(image.data), content_type=image.media_type)
        suffix = image.media_type.removeprefix("image/")
        response["Content-Disposition"] = f'attachment; filename="image-{image.position}.{suffix}"'
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        return response
