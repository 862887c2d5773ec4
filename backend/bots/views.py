from datetime import timedelta
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.bots import indexes, services
from backend.bots.catalogue import catalogue
from backend.bots.models import Bot, BotVersion, Visibility
from backend.bots.serializers import AgentOutput, BotInput, BotOutput, ConfigurationOutput, IndexInput, IndexOutput
from backend.core import throttling
from backend.core.idempotency import idempotent
from backend.core.serializers import ErrorOutput
from backend.users.current import user_of

BUILDS_PER_HOUR = 20
"""Of one person. Each embeds everything a bot knows once more."""


class BotFilter(django_filters.FilterSet):
    mine = django_filters.BooleanFilter(method="only_mine", label="Only (or, if false, none of) my own")
    visibility = django_filters.ChoiceFilter(choices=Visibility.choices)
    name = django_filters.CharFilter(lookup_expr="icontains")

    def only_mine(self, queryset: QuerySet[Bot], _name: str, value: bool) -> QuerySet[Bot]:
        own = {"owner": self.request.user}
        return queryset.filter(**own) if value else queryset.exclude(**own)


@extend_schema(tags=["bots"])
class BotListView(generics.ListCreateAPIView[Bot]):
    """Your bots and the public ones."""

    serializer_class = BotOutput
    filterset_class = BotFilter
    queryset = Bot.objects.none()

    def get_queryset(self) -> QuerySet[Bot]:
        bots: QuerySet[Bot] = Bot.objects.listed_for(self.request.user)
        return bots.select_related("version")

    @extend_schema(request=BotInput, responses={201: BotOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """Make a bot."""
        fields = BotInput(data=request.data)
        fields.is_valid(raise_exception=True)
        bot = services.create_bot(owner=user_of(request), **fields.validated_data)
        return Response(BotOutput(bot, context={"request": request}).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["bots"])
class BotView(generics.RetrieveAPIView[Bot]):
    """One bot: yours, public, or unlisted. Only its owner may change or delete it."""

    serializer_class = BotOutput
    lookup_url_kwarg = "bot_id"
    queryset = Bot.objects.none()

    def get_queryset(self) -> QuerySet[Bot]:
        user = self.request.user
        bots = Bot.objects.usable_by(user) if self.request.method == "GET" else Bot.objects.owned_by(user)
        return bots.select_related("version")

    @extend_schema(request=BotInput)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        """Change a bot of yours; a change of its configuration makes a new version of that."""
        bot = self.get_object()
        fields = BotInput(data=request.data, partial=True, context={"configuration": bot.version})
        fields.is_valid(raise_exception=True)
        changes = dict(fields.validated_data)
        configuration = changes.pop("configuration", None)
        bot = services.update_bot(bot=bot, author=user_of(request), changes=changes, configuration=configuration)
        return Response(BotOutput(bot, context={"request": request}).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, *_: Any, **__: Any) -> Response:
        """Delete a bot with all that it knows. It answers nothing from this moment on; a job erases the rest."""
        services.delete_bot(bot=self.get_object(), requested_by=user_of(request).pk)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["bots"])
class AgentListView(APIView):
    """How bots may answer, for `configuration.agent`: the default one first."""

    @extend_schema(responses=AgentOutput(many=True))
    def get(self, _request: Request) -> Response:
        return Response(AgentOutput(catalogue.agents(), many=True).data)


class OfOwnBot:
    """For views below a bot that only its owner may see."""

    kwargs: dict[str, Any]
    request: Any

    def get_bot(self) -> Bot:
        return get_object_or_404(Bot.objects.owned_by(self.request.user), pk=self.kwargs["bot_id"])


@extend_schema(tags=["bots"])
class IndexView(OfOwnBot, generics.GenericAPIView[Any]):
    """The bot's search index: its embedding, those it could have, and the index that is being built beside it."""

    serializer_class = IndexOutput

    @extend_schema(responses=IndexOutput)
    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(IndexOutput(indexes.overview(self.get_bot())).data)

    @extend_schema(request=IndexInput, responses={202: IndexOutput, 409: ErrorOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """Build the index anew with another embedding, or go on with one that failed. What serves, serves until the
        new one is whole; then that serves, in one step."""
        bot = self.get_bot()
        fields = IndexInput(data=request.data)
        fields.is_valid(raise_exception=True)
        throttling.hit(throttling.Limit("bots.index", BUILDS_PER_HOUR, timedelta(hours=1)), str(bot.owner_id))
        indexes.start_build(bot=bot, embedding=fields.validated_data["embedding"])
        return Response(IndexOutput(indexes.overview(self.get_bot())).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses={204: None, 409: ErrorOutput})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        """Cancel the build; what serves is not touched."""
        indexes.cancel_build(bot=self.get_bot())
        return Response(status=status.HTTP_204_NO_CONTENT)


class VersionsOfOwnBot(OfOwnBot):
    """For views over the versions of a bot that only its owner may see."""

    def get_queryset(self) -> QuerySet[BotVersion]:
        if "bot_id" not in self.kwargs:  # the schema generator has no bot in hand
            return BotVersion.objects.none()
        return BotVersion.objects.filter(bot=self.get_bot())


@extend_schema(tags=["bots"])
class BotVersionListView(VersionsOfOwnBot, generics.ListAPIView[BotVersion]):
    """Every configuration the bot ever had, newest first."""

    serializer_class = ConfigurationOutput


@extend_schema(tags=["bots"])
class BotVersionView(VersionsOfOwnBot, generics.RetrieveAPIView[BotVersion]):
    """One configuration that the bot had, or has."""

    serializer_class = ConfigurationOutput
    lookup_field = "number"


@extend_schema(tags=["bots"])
class BotVersionRestoreView(VersionsOfOwnBot, generics.GenericAPIView[Any]):
    """Make an earlier configuration the current one, as a new version."""

    serializer_class = BotOutput
    lookup_field = "number"

    @extend_schema(request=None, responses={200: BotOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        bot = services.restore_version(bot=self.get_bot(), author=user_of(request), version=self.get_object())
        return Response(BotOutput(bot, context={"request": request}).data)
