from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from backend.bots.models import Bot
from backend.core.idempotency import idempotent
from backend.tools import services
from backend.tools.models import Tool
from backend.tools.serializers import (
    ApprovalInput,
    OfferOutput,
    ToolChanges,
    ToolInput,
    ToolOutput,
    TrialInput,
    TrialOutput,
)
from backend.users.current import user_of


class OwnTools(generics.GenericAPIView[Tool]):
    serializer_class: Any = ToolOutput
    lookup_url_kwarg = "tool_id"
    queryset = Tool.objects.none()

    def get_queryset(self) -> QuerySet[Tool]:
        tools: QuerySet[Tool] = Tool.objects.owned_by(self.request.user)
        return tools.select_related("bot")


@extend_schema(tags=["tools"])
class ToolListView(OwnTools, generics.ListAPIView[Tool]):
    """A bot's declared tools, newest first. An agent with steps uses those that `configuration.tools` names."""

    def get_queryset(self) -> QuerySet[Tool]:
        if "bot_id" not in self.kwargs:  # the schema generator has no bot in hand
            return Tool.objects.none()
        return super().get_queryset().filter(bot=self._bot())

    @extend_schema(request=ToolInput, responses={201: ToolOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """Declare a tool: an address that is called, or a server of tools."""
        bot = self._bot()
        fields = ToolInput(data=request.data)
        fields.is_valid(raise_exception=True)
        tool = services.create_tool(bot=bot, **fields.validated_data)
        return Response(ToolOutput(tool).data, status=status.HTTP_201_CREATED)

    def _bot(self) -> Bot:
        return get_object_or_404(Bot.objects.owned_by(self.request.user), pk=self.kwargs["bot_id"])


@extend_schema(tags=["tools"])
class ToolView(OwnTools, generics.RetrieveAPIView[Tool]):
    """One declared tool."""

    @extend_schema(request=ToolChanges)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        """Change a declared tool."""
        tool = self.get_object()
        fields = ToolChanges(data=request.data, partial=True)
        fields.is_valid(raise_exception=True)
        return Response(ToolOutput(services.change_tool(tool=tool, changes=fields.validated_data)).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        """Delete a declared tool."""
        services.delete_tool(tool=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["tools"])
class OfferView(OwnTools):
    """Ask a server of tools what it has. Nothing is changed by it."""

    serializer_class = OfferOutput

    @extend_schema(request=None, responses=OfferOutput)
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        tools, sha256 = services.look_at(tool=self.get_object(), user_id=user_of(request).pk)
        return Response(OfferOutput({"tools": tools, "sha256": sha256}).data)


@extend_schema(tags=["tools"])
class ApprovalView(OwnTools):
    """Approve a server's tools as they were looked at. When the server changes any, none is called until they are
    approved again."""

    @extend_schema(request=ApprovalInput, responses=ToolOutput)
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        tool = self.get_object()
        fields = ApprovalInput(data=request.data)
        fields.is_valid(raise_exception=True)
        tool = services.approve(tool=tool, user_id=user_of(request).pk, sha256=fields.validated_data["sha256"])
        return Response(ToolOutput(tool).data)


@extend_schema(tags=["tools"])
class TrialView(OwnTools):
    """Call a tool once, as a model would, and see what comes back."""

    serializer_class = TrialOutput

    @extend_schema(request=TrialInput, responses=TrialOutput)
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        tool = self.get_object()
        fields = TrialInput(data=request.data)
        fields.is_valid(raise_exception=True)
        tried = services.try_tool(tool=tool, user_id=user_of(request).pk, **fields.validated_data)
        return Response(TrialOutput(tried).data)
