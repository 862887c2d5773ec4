from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from backend.core.idempotency import ShownOnce, idempotent
from backend.users.current import user_of
from backend.webhooks import services
from backend.webhooks.models import Delivery, Endpoint
from backend.webhooks.serializers import (
    DeliveryOutput,
    EndpointChanges,
    EndpointInput,
    EndpointOutput,
    NewEndpointOutput,
    SecretOutput,
)


class OwnEndpoints(generics.GenericAPIView[Endpoint]):
    serializer_class: type[BaseSerializer[Any]] = EndpointOutput
    lookup_url_kwarg = "endpoint_id"
    queryset = Endpoint.objects.none()

    def get_queryset(self) -> QuerySet[Endpoint]:
        endpoints: QuerySet[Endpoint] = Endpoint.objects.owned_by(self.request.user)
        return endpoints.select_related("owner")


@extend_schema(tags=["webhooks"])
class EndpointListView(OwnEndpoints, generics.ListAPIView[Endpoint]):
    """Your webhooks, newest first. POST makes one; its answer is the only one that shows the secret, not even a
    repetition under the same Idempotency-Key does."""

    @extend_schema(request=EndpointInput, responses={201: NewEndpointOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """Make a webhook. Only this answer shows the secret, not even a repetition under the same Idempotency-Key."""
        fields = EndpointInput(data=request.data)
        fields.is_valid(raise_exception=True)
        endpoint, secret = services.create_endpoint(owner=user_of(request), **fields.validated_data)
        shown = dict(EndpointOutput(endpoint).data)
        return ShownOnce({**shown, "secret": secret}, kept={**shown, "secret": None}, status=status.HTTP_201_CREATED)


@extend_schema(tags=["webhooks"])
class EndpointView(OwnEndpoints, generics.RetrieveAPIView[Endpoint]):
    """One of your webhooks."""

    @extend_schema(request=EndpointChanges)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        """Change what a webhook listens to and where it sends, or switch it on again."""
        endpoint = self.get_object()
        fields = EndpointChanges(data=request.data, partial=True)
        fields.is_valid(raise_exception=True)
        endpoint = services.change_endpoint(endpoint=endpoint, changes=fields.validated_data)
        return Response(EndpointOutput(endpoint).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        """Delete a webhook: nothing is sent from this moment on."""
        services.delete_endpoint(endpoint=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["webhooks"])
class RotateView(OwnEndpoints):
    """A new secret. For a day messages carry a signature by the old one as well."""

    serializer_class = SecretOutput

    @extend_schema(request=None, responses={200: SecretOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        secret = services.rotate_secret(endpoint=self.get_object())
        return ShownOnce({"secret": secret}, kept={"secret": None}, status=status.HTTP_200_OK)


@extend_schema(tags=["webhooks"])
class PingView(OwnEndpoints):
    """Send a `ping`, whatever the webhook listens to; look at its delivery for what came of it."""

    serializer_class = DeliveryOutput

    @extend_schema(request=None, responses={202: DeliveryOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        delivery = services.ping(endpoint=self.get_object())
        return Response(DeliveryOutput(delivery).data, status=status.HTTP_202_ACCEPTED)


class OwnDeliveries(generics.GenericAPIView[Delivery]):
    serializer_class = DeliveryOutput
    lookup_url_kwarg = "delivery_id"
    queryset = Delivery.objects.none()

    def get_queryset(self) -> QuerySet[Delivery]:
        if "endpoint_id" not in self.kwargs:  # the schema generator has no endpoint in hand
            return Delivery.objects.none()
        endpoints = Endpoint.objects.owned_by(self.request.user)
        endpoint = get_object_or_404(endpoints, pk=self.kwargs["endpoint_id"])
        deliveries: QuerySet[Delivery] = Delivery.objects.filter(endpoint=endpoint)
        return deliveries.select_related("endpoint__owner")


@extend_schema(tags=["webhooks"])
class DeliveryListView(OwnDeliveries, generics.ListAPIView[Delivery]):
    """What was sent or is to be, newest first."""

    filterset_fields = ["state", "event"]


@extend_schema(tags=["webhooks"])
class RedeliverView(OwnDeliveries):
    """Send a message again, now, under its old id."""

    @extend_schema(request=None, responses={202: DeliveryOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        delivery = services.redeliver(delivery=self.get_object())
        return Response(DeliveryOutput(delivery).data, status=status.HTTP_202_ACCEPTED)
