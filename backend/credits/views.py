from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.core.pagination import NewestFirst
from backend.credits import services
from backend.credits.models import Entry, Kind, Price
from backend.credits.serializers import BalanceOutput, EntryOutput, LowBalanceInput, LowBalanceOutput, PriceOutput
from backend.credits.statement import as_csv
from backend.users.current import user_of

EXPORT_ROWS = 10_000
"""In one file: a few megabytes at most. It is built whole, so that no connection waits for a slow reader."""


class EntryFilter(django_filters.FilterSet):
    kind = django_filters.MultipleChoiceFilter(choices=Kind.choices)
    created_at_after = django_filters.IsoDateTimeFilter("created_at", "gte", label="Not before this time")
    created_at_before = django_filters.IsoDateTimeFilter("created_at", "lt", label="Before this time")
    seq_before = django_filters.NumberFilter(
        "seq", "lt", min_value=1, max_value=2**63 - 1, label="Before the entry with this number"
    )


class NewestEntryFirst(NewestFirst):
    ordering = "-seq"


class OwnEntries(generics.GenericAPIView[Entry]):
    """For views over the ledger of the user who asks."""

    queryset = Entry.objects.none()
    serializer_class = EntryOutput

    def get_queryset(self) -> QuerySet[Entry]:
        entries: QuerySet[Entry] = Entry.objects.of(self.request.user)
        return entries.order_by("-seq")


@extend_schema(tags=["credits"])
class BalanceView(APIView):
    """Your balance."""

    @extend_schema(responses=BalanceOutput)
    def get(self, request: Request) -> Response:
        return Response(BalanceOutput(services.account_for(user_of(request))).data)


@extend_schema(tags=["credits"])
class LowBalanceView(APIView):
    """From which balance down the webhook `balance.low` tells you so, once each time. It moves no credits."""

    @extend_schema(responses=LowBalanceOutput)
    def get(self, request: Request) -> Response:
        return Response(LowBalanceOutput(services.account_for(user_of(request))).data)

    @extend_schema(request=LowBalanceInput, responses=LowBalanceOutput)
    def put(self, request: Request) -> Response:
        """Set from which balance down `balance.low` tells you so."""
        fields = LowBalanceInput(data=request.data)
        fields.is_valid(raise_exception=True)
        account = services.account_for(user_of(request))
        account = services.set_low_balance(account=account, below=fields.validated_data["below"])
        return Response(LowBalanceOutput(account).data)


@extend_schema(tags=["credits"])
class EntryListView(OwnEntries, generics.ListAPIView[Entry]):
    """Your ledger, newest first."""

    filterset_class = EntryFilter
    pagination_class = NewestEntryFirst


@extend_schema(tags=["credits"])
class EntryView(OwnEntries, generics.RetrieveAPIView[Entry]):
    """One entry of your ledger."""

    lookup_url_kwarg = "entry_id"


class AnyAccepted(DefaultContentNegotiation):
    """The address says which format comes; errors are JSON as everywhere."""

    def select_renderer(
        self, _request: Request, renderers: Any, _format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


@extend_schema(tags=["credits"])
class EntryExportView(OwnEntries):
    """Your ledger as CSV, newest first. Where it has more rows, the Link header says where the next file is."""

    filterset_class = EntryFilter
    pagination_class = None
    renderer_classes = [JSONRenderer]
    content_negotiation_class = AnyAccepted

    @extend_schema(responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR)})
    def get(self, request: Request) -> HttpResponse:
        entries = list(self.filter_queryset(self.get_queryset())[: EXPORT_ROWS + 1])
        response = HttpResponse(as_csv(entries[:EXPORT_ROWS]), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="credits.csv"'
        if len(entries) > EXPORT_ROWS:
            query = request.query_params.copy()
            query["seq_before"] = str(entries[EXPORT_ROWS - 1].seq)
            response["Link"] = f'<{request.build_absolute_uri(request.path)}?{query.urlencode()}>; rel="next"'
        return response


@extend_schema(tags=["credits"])
class PriceListView(generics.ListAPIView[Price]):
    """The prices in force. A model that is not listed costs what `*` says."""

    serializer_class = PriceOutput
    queryset = Price.objects.none()

    def get_queryset(self) -> QuerySet[Price]:
        prices: QuerySet[Price] = Price.objects.valid()
        return prices
