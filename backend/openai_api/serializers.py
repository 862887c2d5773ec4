from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agent_service.contract import MAX_STOP_CHARS, MAX_STOPS
from backend.conversations.rest.serializers import AnswerOutput
from backend.openai_api.errors import UnknownParameter, Unsupported

ROLES = ["user", "assistant", "system", "developer"]

# A bot's owner decides how it answers: these are taken, so that no client stumbles, and change nothing.
WITHOUT_EFFECT = {
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "user", "metadata", "store",
    "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "verbosity", "reasoning_effort",
    "parallel_tool_calls",
}  # fmt: skip

# What would change the answer and is not there, beside the values that ask for nothing.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "file_id": (),
    "file_ids": ([],),
}


@extend_schema_field(OpenApiTypes.UUID)
class BotField(serializers.CharField):
    """A bot's id stands where a model's does; whatever else stands there is a model that does not exist."""


class StreamOptionsInput(serializers.Serializer[Any]):
    include_usage = serializers.BooleanField(default=False)


class ChatMessageInput(serializers.Serializer[Any]):
    """For the schema alone: `messages` reads them."""

    role = serializers.ChoiceField(choices=ROLES)
    content = serializers.CharField(help_text="A text, or a list of parts: text, image_url with a data: URL.")


@extend_schema_field(ChatMessageInput(many=True))
class MessagesField(serializers.ListField):
    child = serializers.JSONField()


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}], "nullable": True})
class StopField(serializers.ListField):
    """A text, or a list of some; nothing where it is empty."""

    child = serializers.CharField(trim_whitespace=False, max_length=MAX_STOP_CHARS)

    def to_internal_value(self, data: Any) -> list[str]:
        if isinstance(data, str):
            data = [data] if data else []
        return super().to_internal_value(data)


class CompletionInput(serializers.Serializer[Any]):
    """`temperature` and the like are taken and change nothing: the bot's owner decides. Refused: `n` above 1, `tools`,
    `logprobs`, `response_format`, and whatever OpenAI's API does not know either."""

    model = BotField(max_length=200, help_text="The id of a bot.")
    messages = MessagesField()
    stream = serializers.BooleanField(default=False, allow_null=True)
    stream_options = StreamOptionsInput(required=False, allow_null=True)
    max_tokens = serializers.IntegerField(
        min_value=1, required=False, allow_null=True, help_text="Cut to what this server allows."
    )
    max_completion_tokens = serializers.IntegerField(min_value=1, required=False, allow_null=True)
    stop = StopField(
        max_length=MAX_STOPS, required=False, allow_null=True, help_text="The text ends before the first of them."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _check_parameters(self.initial_data, set(self.fields))
        if attrs.get("stream_options") and not attrs["stream"]:
            raise serializers.ValidationError({"stream_options": "Only together with stream."}, code="invalid_value")
        return attrs

    @property
    def max_output_tokens(self) -> int | None:
        """The smaller of the two where both are given."""
        given = [self.validated_data.get(name) for name in ("max_tokens", "max_completion_tokens")]
        return min((number for number in given if number is not None), default=None)

    @property
    def stop_sequences(self) -> list[str]:
        sequences: list[str] = self.validated_data.get("stop") or []
        return sequences

    @property
    def wants_usage(self) -> bool:
        return bool((self.validated_data.get("stream_options") or {}).get("include_usage"))


class EmbeddingsInput(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=120, help_text="Of GET /api/v1/gateway/models/, `embeddings`.")
    input = serializers.JSONField(help_text="A text, or a list of texts.")
    encoding_format = serializers.ChoiceField(choices=["float", "base64"], default="float")
    dimensions = serializers.IntegerField(required=False, allow_null=True, help_text="Only what the model has.")
    user = serializers.CharField(required=False, allow_null=True, max_length=1000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _check_parameters(self.initial_data, set(self.fields))
        return attrs


def _check_parameters(given: Any, known: set[str]) -> None:
    """Raises Unsupported, UnknownParameter."""
    for name, value in given.items():
        if name in known or name in WITHOUT_EFFECT:
            continue
        if name not in UNSUPPORTED:
            raise UnknownParameter(param=str(name)[:100])
        if value is not None and not any(
            value == neutral and type(value) is type(neutral) for neutral in UNSUPPORTED[name]
        ):
            raise Unsupported(param=name)


class ModelOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    object = serializers.CharField()
    created = serializers.IntegerField()
    owned_by = serializers.CharField()
    name = serializers.CharField(help_text="An extension: the bot's name.")


class ModelsOutput(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = ModelOutput(many=True)  # type: ignore[assignment]  # DRF takes it for its own


class CompletionMessageOutput(serializers.Serializer[Any]):
    role = serializers.CharField()
    content = serializers.CharField()
    refusal = serializers.CharField(allow_null=True)


class ChoiceOutput(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    message = CompletionMessageOutput()
    logprobs = serializers.CharField(allow_null=True)
    finish_reason = serializers.ChoiceField(choices=["stop", "length", "content_filter"])


class CompletionUsageOutput(serializers.Serializer[Any]):
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class CompletionOutput(serializers.Serializer[Any]):
    """`citations` and `chatsphere`, the answer as the native API gives it, are extensions."""

    id = serializers.CharField()
    object = serializers.CharField()
    created = serializers.IntegerField()
    model = serializers.CharField()
    choices = ChoiceOutput(many=True)
    usage = CompletionUsageOutput()
    citations = serializers.ListField(child=serializers.DictField())
    chatsphere = AnswerOutput()


class EmbeddingOutput(serializers.Serializer[Any]):
    object = serializers.CharField()
    index = serializers.IntegerField()
    embedding = serializers.ListField(child=serializers.FloatField(), help_text="Or base64 of little-endian floats.")


class EmbeddingsUsageOutput(serializers.Serializer[Any]):
    prompt_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class EmbeddingsOutput(serializers.Serializer[Any]):
    object = serializers.CharField()
    model = serializers.CharField()
    data = EmbeddingOutput(many=True)  # type: ignore[assignment]  # DRF takes it for its own
    usage = EmbeddingsUsageOutput()
