from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.documents import quotas
from backend.documents.models import Erasure
from backend.documents.usage_serializers import ErasureOutput, PlanUsageOutput
from backend.users.current import user_of


@extend_schema(tags=["documents"])
class UsageView(APIView):
    """What you have of everything that your plan limits."""

    @extend_schema(responses=PlanUsageOutput)
    def get(self, request: Request) -> Response:
        return Response(PlanUsageOutput(quotas.usage(user_of(request).pk)).data)


class ErasureFilter(django_filters.FilterSet):
    subject = django_filters.CharFilter()
    subject_id = django_filters.UUIDFilter()


@extend_schema(tags=["documents"])
class ErasureListView(generics.ListAPIView[Any]):
    """What was deleted of yours, by whom, and what was read back as gone; it outlives what it tells of."""

    serializer_class = ErasureOutput
    filterset_class = ErasureFilter
    queryset = Erasure.objects.none()

    def get_queryset(self) -> QuerySet[Erasure]:
        erasures: QuerySet[Erasure] = Erasure.objects.owned_by(self.request.user)
        return erasures
