from typing import Any, get_args

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from agent_service.contract import MAX_FALLBACKS, AgentKind
from backend.bots.models import Bot, BotVersion, BuildState, IndexBuild, Rewriting, Strictness, Visibility
from backend.bots.services import CONFIGURATION_FIELDS
from backend.core.fields import FiniteFloatField
from backend.core.serializers import OnlyKnownFields

EMBEDDING_PATTERN = r"^[a-z0-9_-]+:[A-Za-z0-9._/-]+:[0-9]+$"
RERANK_PATTERN = r"^$|^lexical$|^[a-z0-9_-]+:[A-Za-z0-9._/:-]+$"
MODEL_PATTERN = r"^$|^[a-z0-9_-]+:[A-Za-z0-9._/:-]+$"
_NO_MODEL: dict[str, Any] = {
    "invalid": "A model's id is its provider's and its name, as GET gateway/models/ lists them."
}


class ConfigurationInput(OnlyKnownFields):
    """Every field may be left out: it then keeps its value. One that was shown may be sent back as it stands."""

    passed_over = frozenset({"version", "created_at"})

    instructions = serializers.CharField(max_length=20_000, allow_blank=True, trim_whitespace=False, required=False)
    agent = serializers.RegexField(r"^[a-z0-9_-]+$", max_length=60, required=False)
    model = serializers.RegexField(
        MODEL_PATTERN, max_length=120, allow_blank=True, required=False, error_messages=_NO_MODEL
    )
    fallbacks = serializers.ListField(
        child=serializers.RegexField(MODEL_PATTERN, max_length=120, error_messages=_NO_MODEL),
        max_length=MAX_FALLBACKS,
        required=False,
        help_text="Models asked in this order where the first fails before its first word.",
    )
    temperature = FiniteFloatField(min_value=0, max_value=2, required=False)
    greeting = serializers.CharField(max_length=1000, allow_blank=True, required=False)
    suggested_questions = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=10, required=False
    )
    strictness = serializers.ChoiceField(choices=Strictness.choices, required=False)
    top_k = serializers.IntegerField(min_value=1, max_value=20, required=False)
    threshold = FiniteFloatField(min_value=0, max_value=1, required=False)
    rewriting = serializers.ChoiceField(
        choices=Rewriting.choices, required=False, help_text="How a follow-up question comes to stand alone."
    )
    draw_filters = serializers.BooleanField(
        required=False, help_text="Dates and titles named in the question narrow the search."
    )
    neighbours = serializers.IntegerField(
        min_value=0, max_value=3, required=False, help_text="Passages before and after each that is found."
    )
    rerank = serializers.RegexField(
        RERANK_PATTERN,
        max_length=120,
        allow_blank=True,
        required=False,
        help_text='Empty, "lexical", or a model\'s id.',
    )
    diversity = FiniteFloatField(min_value=0.5, max_value=1, required=False)
    follow_ups = serializers.BooleanField(required=False, help_text="Suggest questions after the answer.")
    degrade = serializers.BooleanField(
        required=False, help_text="Quote passages, free of charge, while the model cannot answer."
    )
    tools = serializers.ListField(
        child=serializers.RegexField(r"^[a-z0-9_]+$", max_length=60), max_length=20, required=False
    )
    step_limit = serializers.IntegerField(min_value=1, max_value=20, required=False)
    seconds_limit = serializers.IntegerField(min_value=5, max_value=100, required=False)
    credit_limit = serializers.IntegerField(min_value=1, max_value=10**9, allow_null=True, required=False)
    chunk_chars = serializers.IntegerField(min_value=200, max_value=4000, required=False)
    chunk_overlap = serializers.IntegerField(min_value=0, max_value=1000, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        current: BotVersion | None = self.context.get("configuration")
        defaults = current or BotVersion()
        chars = attrs.get("chunk_chars", defaults.chunk_chars)
        overlap = attrs.get("chunk_overlap", defaults.chunk_overlap)
        if overlap * 2 > chars:
            raise serializers.ValidationError({"chunk_overlap": "At most half of chunk_chars."})
        return attrs


_EXAMPLE = {
    "name": "Tides",
    "visibility": "private",
    "configuration": {"instructions": "Answer in short sentences.", "agent": "default", "strictness": "strict"},
}


@extend_schema_serializer(examples=[OpenApiExample("A bot", _EXAMPLE, request_only=True)])
class BotInput(serializers.Serializer[Bot]):
    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=1000, allow_blank=True, required=False)
    visibility = serializers.ChoiceField(choices=Visibility.choices, required=False)
    configuration = ConfigurationInput(required=False)


class ConfigurationOutput(serializers.ModelSerializer[BotVersion]):
    version = serializers.IntegerField(source="number")

    class Meta:
        model = BotVersion
        fields = ["version", *CONFIGURATION_FIELDS, "created_at"]
        read_only_fields = fields


class BotOutput(serializers.ModelSerializer[Bot]):
    """`configuration` is for the owner; to others it is null."""

    is_owner = serializers.SerializerMethodField()
    greeting = serializers.CharField(source="version.greeting")
    suggested_questions = serializers.ListField(source="version.suggested_questions", child=serializers.CharField())
    configuration = serializers.SerializerMethodField()

    class Meta:
        model = Bot
        fields = [
            "id",
            "name",
            "description",
            "visibility",
            "is_owner",
            "greeting",
            "suggested_questions",
            "embedding",
            "configuration",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    def get_is_owner(self, bot: Bot) -> bool:
        return bool(bot.owner_id == self.context["request"].user.pk)

    @extend_schema_field(ConfigurationOutput(allow_null=True))
    def get_configuration(self, bot: Bot) -> dict[str, Any] | None:
        return dict(ConfigurationOutput(bot.version).data) if self.get_is_owner(bot) else None


class IndexInput(serializers.Serializer[Any]):
    """One of the embeddings that this deployment offers."""

    embedding = serializers.RegexField(EMBEDDING_PATTERN, max_length=120)


class OfferedEmbeddingOutput(serializers.Serializer[Any]):
    """`default` is what a new bot begins with."""

    id = serializers.CharField()
    default = serializers.BooleanField()


class BuildFailureOutput(serializers.Serializer[Any]):
    """`retry_at` is when it goes on by itself; null where that is up to you."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()
    retry_at = serializers.DateTimeField(allow_null=True)


class IndexBuildOutput(serializers.ModelSerializer[IndexBuild]):
    """`done` of `total` passages; `total` is null until they were counted."""

    error = serializers.SerializerMethodField()

    class Meta:
        model = IndexBuild
        fields = ["id", "embedding", "state", "done", "total", "error", "created_at", "updated_at"]
        read_only_fields = fields

    @extend_schema_field(BuildFailureOutput(allow_null=True))
    def get_error(self, build: IndexBuild) -> dict[str, Any] | None:
        if not build.error_code or build.state not in (BuildState.BUILDING, BuildState.FAILED):
            return None
        waits = serializers.DateTimeField().to_representation(build.wake_at) if build.wake_at else None
        return {
            "code": build.error_code,
            "message": build.error_message,
            "hint": build.error_hint,
            "retry_at": waits,
        }


class IndexOutput(serializers.Serializer[Any]):
    """`embedding` is what answers are searched with, empty until the first document settles it; `offered` is null
    while the agent cannot be asked; `build` the newest one."""

    embedding = serializers.CharField()
    offered = OfferedEmbeddingOutput(many=True, allow_null=True)
    build = IndexBuildOutput(allow_null=True)


AGENT_KINDS = list(get_args(AgentKind))


class AgentOutput(serializers.Serializer[Any]):
    """`kind`: `rag` searches once and answers; `react` asks for tools step by step; `passages` gives the passages as
    they are, without a model. `passages` and `threshold` stand in the place of a bot's own where they are set; `tools`
    are those of a bot that names none."""

    id = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    kind = serializers.ChoiceField(choices=AGENT_KINDS)
    default = serializers.BooleanField()
    sources = serializers.ListField(child=serializers.CharField(), help_text="Kinds of knowledge; empty for all.")
    passages = serializers.IntegerField(allow_null=True)
    threshold = serializers.FloatField(allow_null=True)
    tools = serializers.ListField(child=serializers.CharField())
