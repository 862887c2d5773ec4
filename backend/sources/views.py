from datetime import timedelta
from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from backend.bots.models import Bot
from backend.core import throttling
from backend.core.idempotency import idempotent
from backend.core.serializers import ErrorOutput
from backend.sources import services
from backend.sources.models import Item, ItemState, Source
from backend.sources.serializers import (
    ItemOutput,
    ResolvedOutput,
    ResolveInput,
    SourceChanges,
    SourceInput,
    SourceLimitsOutput,
    SourceOutput,
    SyncInput,
)


def _hit(request: Request) -> None:
    limit = throttling.Limit("sources.sync", settings.SOURCE_LIMIT_PER_HOUR, timedelta(hours=1))
    throttling.hit(limit, str(request.user.pk))


class OwnBot:
    """For views below a bot that only its owner may see."""

    kwargs: dict[str, Any]
    request: Any

    def get_bot(self) -> Bot:
        return get_object_or_404(Bot.objects.owned_by(self.request.user), pk=self.kwargs["bot_id"])


@extend_schema(tags=["sources"])
class SourceListView(OwnBot, generics.ListCreateAPIView[Source]):
    """Where a bot gets documents from by itself: pages, sites, channels. Only its owner sees it."""

    serializer_class = SourceOutput
    filterset_fields = ["kind", "state", "paused"]
    queryset = Source.objects.none()

    def get_queryset(self) -> QuerySet[Source]:
        sources: QuerySet[Source] = Source.objects.owned_by(self.request.user).filter(bot=self.get_bot())
        return sources

    @extend_schema(
        request=SourceInput,
        responses={
            201: SourceOutput,
            400: OpenApiResponse(ErrorOutput, "The code says what is wrong with the configuration"),
            409: OpenApiResponse(ErrorOutput, "The bot has this source; `details.id` names it"),
        },
    )
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """Its first sync begins at once."""
        bot = self.get_bot()
        _hit(request)
        fields = SourceInput(data=request.data)
        fields.is_valid(raise_exception=True)
        source = services.create_source(bot=bot, **fields.validated_data)
        return Response(SourceOutput(source).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["sources"])
class SourceLimitsView(OwnBot, generics.GenericAPIView[Any]):
    """Which kinds of sources this deployment reads, and how much of them."""

    serializer_class = SourceLimitsOutput

    @extend_schema(responses=SourceLimitsOutput)
    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        self.get_bot()
        return Response(services.limits())


class OwnSource:
    """For views of a source that only its bot's owner may see."""

    kwargs: dict[str, Any]
    request: Any

    def get_source(self) -> Source:
        return get_object_or_404(Source.objects.owned_by(self.request.user), pk=self.kwargs["source_id"])


@extend_schema(tags=["sources"])
class SourceView(OwnSource, generics.GenericAPIView[Any]):
    """State of a source, what its last run found, and `error`, which says what went wrong and what to do."""

    serializer_class = SourceOutput

    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(SourceOutput(self.get_source()).data)

    @extend_schema(request=SourceChanges)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        """Rename, schedule, pause and resume, switch on and off."""
        source = self.get_source()
        fields = SourceChanges(data=request.data)
        fields.is_valid(raise_exception=True)
        return Response(SourceOutput(services.update_source(source=source, changes=fields.validated_data)).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        """Its documents answer nothing from this moment on; a job deletes them with their files and vectors."""
        services.delete_source(source=self.get_source())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["sources"])
class SyncView(OwnSource, generics.GenericAPIView[Any]):
    """Sync now."""

    serializer_class = SourceOutput

    @extend_schema(request=SyncInput, responses={202: SourceOutput, 409: ErrorOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        source = self.get_source()
        _hit(request)
        fields = SyncInput(data=request.data)
        fields.is_valid(raise_exception=True)
        source = services.sync_now(source=source, **fields.validated_data)
        return Response(SourceOutput(source).data, status=status.HTTP_202_ACCEPTED)


class ItemFilter(django_filters.FilterSet):
    failed = django_filters.BooleanFilter(
        method="only_failed", label="Only (or, if false, none of) those with an error"
    )
    state = django_filters.ChoiceFilter(choices=ItemState.choices)

    def only_failed(self, queryset: QuerySet[Item], _name: str, value: bool) -> QuerySet[Item]:
        failed = services.with_errors(queryset)
        return failed if value else queryset.exclude(pk__in=failed.values("pk"))


@extend_schema(tags=["sources"])
class ItemListView(OwnSource, generics.ListAPIView[Item]):
    """What the source offers, and what became of it."""

    serializer_class = ItemOutput
    filterset_class = ItemFilter
    queryset = Item.objects.none()

    def get_queryset(self) -> QuerySet[Item]:
        return Item.objects.filter(source=self.get_source()).select_related("document")


@extend_schema(tags=["sources"])
class ItemResolveView(OwnSource, generics.GenericAPIView[Any]):
    """Try one item again, or dismiss its error."""

    serializer_class = ItemOutput

    @extend_schema(request=ResolveInput, responses={200: ItemOutput, 409: ErrorOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        source = self.get_source()
        item = get_object_or_404(Item.objects.filter(source=source), pk=self.kwargs["item_id"])
        fields = ResolveInput(data=request.data)
        fields.is_valid(raise_exception=True)
        item = services.resolve_item(source=source, item=item, **fields.validated_data)
        return Response(ItemOutput(item).data)


@extend_schema(tags=["sources"])
class ResolveView(OwnSource, generics.GenericAPIView[Any]):
    """Try all failed items again, or dismiss their errors."""

    serializer_class = ResolvedOutput

    @extend_schema(request=ResolveInput, responses={200: ResolvedOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        source = self.get_source()
        fields = ResolveInput(data=request.data)
        fields.is_valid(raise_exception=True)
        return Response({"resolved": services.resolve_all(source=source, **fields.validated_data)})
