from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from backend.conversations.questions import pictures
from backend.conversations.rest.asynchronous import TurnResponse, TurnView
from backend.conversations.rest.views import ANSWERED
from backend.conversations.services import RequestKey
from backend.core.idempotency import fingerprint_of, key_of
from backend.gateway import catalogue, services
from backend.gateway.serializers import (
    CountTokensInput,
    CountTokensOutput,
    EstimateCostInput,
    EstimateCostOutput,
    GatewayChatInput,
    GatewayModelOutput,
    GatewayModelsOutput,
    ProvidersOutput,
)
from backend.users.current import user_of


@extend_schema(tags=["gateway"])
class ProviderListView(generics.GenericAPIView[Any]):
    """Who provides models here, and whether they answer."""

    serializer_class = ProvidersOutput

    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(ProvidersOutput(services.providers()).data)


@extend_schema(tags=["gateway"])
class GatewayModelListView(generics.GenericAPIView[Any]):
    """The models and embeddings of this deployment, with what they can do and cost."""

    serializer_class = GatewayModelsOutput

    @extend_schema(operation_id="gateway_models_list")
    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        offered = {"models": catalogue.models(), "embeddings": catalogue.embeddings()}
        return Response(GatewayModelsOutput(offered).data)


@extend_schema(tags=["gateway"])
class GatewayModelView(generics.GenericAPIView[Any]):
    """One model, by its id or by the name that its vendor gives it."""

    serializer_class = GatewayModelOutput

    def get(self, _request: Request, *_: Any, **kwargs: Any) -> Response:
        return Response(GatewayModelOutput(catalogue.named(kwargs["model"])).data)


@extend_schema(tags=["gateway"])
class CountTokensView(generics.GenericAPIView[Any]):
    """How many tokens a question would send to a model."""

    serializer_class = CountTokensOutput

    @extend_schema(request=CountTokensInput, responses={200: CountTokensOutput})
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        fields = CountTokensInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given = {"history": [], **fields.validated_data}
        return Response(CountTokensOutput(services.count_tokens(user=user_of(request), **given)).data)


@extend_schema(tags=["gateway"])
class EstimateCostView(generics.GenericAPIView[Any]):
    """What an answer of a given size costs, in credits and in the vendor's dollars."""

    serializer_class = EstimateCostOutput

    @extend_schema(request=EstimateCostInput, responses={200: EstimateCostOutput})
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        fields = EstimateCostInput(data=request.data)
        fields.is_valid(raise_exception=True)
        return Response(EstimateCostOutput(services.estimate_cost(user=user_of(request), **fields.validated_data)).data)


@extend_schema(tags=["gateway"])
class GatewayChatView(TurnView, generics.GenericAPIView[Any]):
    """Ask a model itself, without a bot and its documents. Held, settled, streamed and stored like every answer."""

    serializer_class = GatewayChatInput

    @extend_schema(request=GatewayChatInput, responses=ANSWERED)
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        fields = GatewayChatInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given = dict(fields.validated_data)
        images = [(image["media_type"], image["data"]) for image in given.pop("images", [])]
        key = key_of(request)
        opened = services.chat(
            user=user_of(request),
            pictures=pictures.decoded(images),
            key=RequestKey(key, fingerprint_of(request)) if key else None,
            **given,
        )
        return TurnResponse(opened)
