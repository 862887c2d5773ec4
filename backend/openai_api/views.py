from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.conversations import services
from backend.conversations.models import Answer, Origin
from backend.conversations.questions import pictures
from backend.conversations.services import RequestKey
from backend.core.awaited import AwaitedView
from backend.core.event_stream import EventStreamRenderer
from backend.core.idempotency import HEADER, REPLAYED, fingerprint_of, key_of
from backend.gateway.embedding import embed
from backend.openai_api import answering, catalogue, messages
from backend.openai_api.embeddings import embeddings_object, texts_of
from backend.openai_api.errors import ModelNotFound, UnknownAddress
from backend.openai_api.refusals import exception_handler
from backend.openai_api.serializers import (
    CompletionInput,
    CompletionOutput,
    EmbeddingsInput,
    EmbeddingsOutput,
    ModelOutput,
    ModelsOutput,
)
from backend.users.authentication import CredentialAuthentication
from backend.users.current import user_of

CHUNKS = OpenApiResponse(
    OpenApiTypes.STR,
    "With `stream`: chunks as server-sent events, the last one with `citations` and `chatsphere`, then `[DONE]`. A "
    "stream that cannot go on ends with one `error` and without `[DONE]`.",
)
IDEMPOTENCY = OpenApiParameter(HEADER, str, OpenApiParameter.HEADER, description="The same key gives the same answer.")


class OpenAIView(APIView):
    """Keys and access tokens only, no cookie; every refusal in OpenAI's shape."""

    authentication_classes = [CredentialAuthentication]
    renderer_classes = [JSONRenderer, EventStreamRenderer]

    def get_exception_handler(self) -> Any:
        return exception_handler


@extend_schema(tags=["openai"])
class CompletionsView(OpenAIView, AwaitedView):
    """A bot's answer, asked for as OpenAI's clients do: the bot's id is the `model`. Held, settled and stored like
    every other answer."""

    @extend_schema(
        request=CompletionInput,
        parameters=[IDEMPOTENCY],
        responses={(200, "application/json"): CompletionOutput, (200, "text/event-stream"): CHUNKS},
    )
    def post(self, request: Request) -> Response:
        fields = CompletionInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given = fields.validated_data
        asked = messages.read(given["messages"])
        opened = services.ask_once(
            user=user_of(request),
            bot_id=catalogue.bot_id_of(given["model"]),
            text=asked.question,
            before=asked.before,
            pictures=pictures.decoded(asked.pictures),
            origin=Origin.OPENAI,
            max_output_tokens=fields.max_output_tokens,
            stop=fields.stop_sequences,
            key=_request_key(request),
        )
        response = (
            answering.streamed(opened, model=given["model"], include_usage=fields.wants_usage)
            if given["stream"]
            else answering.whole(opened, model=given["model"])
        )
        if isinstance(opened, Answer):
            response[REPLAYED] = "true"
        return response


@extend_schema(tags=["openai"])
class ModelListView(OpenAIView):
    """The bots you may use, as models: your own, then public ones."""

    @extend_schema(operation_id="v1_models_list", responses=ModelsOutput)
    def get(self, request: Request) -> Response:
        return Response({"object": "list", "data": catalogue.usable(user_of(request))})


@extend_schema(tags=["openai"])
class ModelView(OpenAIView):
    """One bot, as a model; also an unlisted one."""

    @extend_schema(responses=ModelOutput)
    def get(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        return Response(catalogue.one(user_of(request), kwargs["bot_id"]))


@extend_schema(exclude=True)
class NoModelView(OpenAIView):
    """What is not the id of a bot is not a model."""

    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        raise ModelNotFound


@extend_schema(tags=["openai"])
class EmbeddingsView(OpenAIView):
    """Vectors of texts, by an embedder of this deployment, paid by the price book."""

    @extend_schema(request=EmbeddingsInput, responses=EmbeddingsOutput)
    def post(self, request: Request) -> Response:
        fields = EmbeddingsInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given = fields.validated_data
        embedded = embed(
            user=user_of(request),
            embedding=given["model"],
            texts=texts_of(given["input"]),
            dimensions=given.get("dimensions"),
        )
        return Response(embeddings_object(embedded, as_base64=given["encoding_format"] == "base64"))


@extend_schema(exclude=True)
class UnknownView(OpenAIView):
    """Whatever else is asked for below /v1 is refused in the same shape, whoever asks."""

    authentication_classes = []
    permission_classes = [AllowAny]
    http_method_names = ["get", "post", "put", "patch", "delete"]

    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        raise UnknownAddress

    post = put = patch = delete = get


def _request_key(request: Request) -> RequestKey | None:
    key = key_of(request)
    return RequestKey(key, fingerprint_of(request)) if key else None
