from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.bots.models import Bot, BotVersion, BuildState, IndexBuild, Strictness, Visibility
from backend.core.fields import FiniteFloatField

EMBEDDING_PATTERN = r"^[a-z0-9_-]+:[A-Za-z0-9._/-]+:[0-9]+$"
MODEL_PATTERN = r"^$|^[a-z0-9_-]+:[A-Za-z0-9._/:-]+$"


class ConfigurationInput(serializers.Serializer[BotVersion]):
    """Every field may be left out: it then keeps its value."""

    instructions = serializers.CharField(max_length=20_000, allow_blank=True, trim_whitespace=False, required=False)
    model = serializers.RegexField(MODEL_PATTERN, max_length=120, allow_blank=True, required=False)
    temperature = FiniteFloatField(min_value=0, max_value=2, required=False)
    greeting = serializers.CharField(max_length=1000, allow_blank=True, required=False)
    suggested_questions = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=10, required=False
    )
    strictness = serializers.ChoiceField(choices=Strictness.choices, required=False)
    top_k = serializers.IntegerField(min_value=1, max_value=20, required=False)
    threshold = FiniteFloatField(min_value=0, max_value=1, required=False)
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


class BotInput(serializers.Serializer[Bot]):
    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=1000, allow_blank=True, required=False)
    visibility = serializers.ChoiceField(choices=Visibility.choices, required=False)
    configuration = ConfigurationInput(required=False)


class ConfigurationOutput(serializers.ModelSerializer[BotVersion]):
    version = serializers.IntegerField(source="number")

    class Meta:
        model = BotVersion
        fields = [
            "version",
            "instructions",
            "model",
            "temperature",
            "greeting",
            "suggested_questions",
            "strictness",
            "top_k",
            "threshold",
            "chunk_chars",
            "chunk_overlap",
            "created_at",
        ]
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
