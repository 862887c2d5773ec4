from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backend.conversations.models import Answer, Conversation, Message
from backend.core.client_address import client_address
from backend.core.idempotency import ShownOnce, idempotent
from backend.core.serializers import ErrorOutput
from backend.sharing import exporting, services
from backend.sharing.models import Share
from backend.sharing.serializers import ExportedOutput, NewShareOutput, SharedOutput, ShareOutput

SHARED_HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}
KINDS = {"markdown": ("text/markdown", "md"), "text": ("text/plain", "txt"), "json": ("application/json", "json")}


class OwnConversation(generics.GenericAPIView[Any]):
    def conversation(self) -> Conversation:
        conversations = Conversation.objects.of(self.request.user).select_related("bot")
        return get_object_or_404(conversations, pk=self.kwargs["conversation_id"])


@extend_schema(tags=["sharing"])
class ShareListView(OwnConversation, generics.ListAPIView[Share]):
    """The links to a conversation, newest first. POST makes one: whoever has it reads the turns that are there now,
    until you revoke it; what is said later is not shown. The answer is the only one that shows the link."""

    serializer_class = ShareOutput

    def get_queryset(self) -> QuerySet[Share]:
        if "conversation_id" not in self.kwargs:  # the schema generator has no conversation in hand
            return Share.objects.none()
        shares: QuerySet[Share] = Share.objects.filter(conversation=self.conversation())
        return shares

    @extend_schema(request=None, responses={201: NewShareOutput, 409: ErrorOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        """Make a link: whoever has it reads the turns that are there now. Only this answer shows it."""
        share, token = services.share(conversation=self.conversation())
        shown = dict(ShareOutput(share).data)
        link = {"token": token, "url": f"{settings.SITE_URL.rstrip('/')}/api/v1/shared/{token}/"}
        return ShownOnce({**shown, **link}, kept={**shown, **dict.fromkeys(link)}, status=status.HTTP_201_CREATED)


@extend_schema(tags=["sharing"])
class ShareView(generics.GenericAPIView[Share]):
    """One link. Revoked, it opens nothing from that moment on."""

    serializer_class = ShareOutput
    lookup_url_kwarg = "share_id"
    queryset = Share.objects.none()

    def get_queryset(self) -> QuerySet[Share]:
        shares: QuerySet[Share] = Share.objects.of(self.request.user)
        return shares

    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(ShareOutput(self.get_object()).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        """Revoke a link: it opens nothing from this moment on."""
        services.revoke(share=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["sharing"])
class SharedView(generics.GenericAPIView[Any]):
    """What a link shows, to anybody who has it."""

    authentication_classes = []
    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]
    serializer_class = SharedOutput

    @extend_schema(responses={200: SharedOutput, 404: ErrorOutput, 429: ErrorOutput})
    def get(self, request: Request, token: str) -> Response:
        shared = services.open_shared(token=token, address=client_address(request))
        return Response(SharedOutput(shared).data)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in SHARED_HEADERS.items():
            final[name] = value
        return final


class ExportQuery(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """`as` is no name that Python lets an attribute have."""
        return {"as": serializers.ChoiceField(choices=list(KINDS), default="markdown")}


@extend_schema(tags=["sharing"])
class ExportView(OwnConversation):
    """A conversation as a file. Markdown and text have the newest answer of each question, JSON has all there is."""

    @extend_schema(
        parameters=[OpenApiParameter("as", str, enum=list(KINDS), default="markdown")],
        responses={
            (200, "text/markdown"): OpenApiResponse(OpenApiTypes.STR),
            (200, "text/plain"): OpenApiResponse(OpenApiTypes.STR),
            (200, "application/json"): ExportedOutput,
        },
    )
    def get(self, request: Request, *_: Any, **__: Any) -> HttpResponse:
        query = ExportQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        kind = query.validated_data["as"]
        conversation = self.conversation()
        media_type, ending = KINDS[kind]
        response = HttpResponse(_written(conversation, kind), content_type=f"{media_type}; charset=utf-8")
        name = f"conversation-{conversation.created_at:%Y-%m-%d}.{ending}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["Cache-Control"] = "no-store"
        return response


def _written(conversation: Conversation, kind: str) -> str | bytes:
    if kind == "markdown":
        return exporting.as_markdown(conversation)
    if kind == "text":
        return exporting.as_text(conversation)
    answers = Answer.objects.with_citations().order_by("pk")
    messages = Message.objects.filter(conversation=conversation).order_by("pk")
    context = {"messages": messages.prefetch_related(Prefetch("answers", answers))}
    return JSONRenderer().render(ExportedOutput(conversation, context=context).data)
