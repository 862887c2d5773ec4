from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agent_service.contract import MAX_IMAGE_BYTES, MAX_IMAGES
from backend.conversations.models import Answer, AnswerState, Citation, Conversation, Message, MessageImage, Step
from backend.conversations.questions.pictures import MEDIA_TYPES
from backend.conversations.rest.search_serializers import FiltersInput


class ConversationInput(serializers.Serializer[Conversation]):
    bot = serializers.UUIDField()
    title = serializers.CharField(max_length=200, allow_blank=True, required=False)


class ConversationChanges(serializers.Serializer[Conversation]):
    title = serializers.CharField(max_length=200, allow_blank=True)


class ConversationOutput(serializers.ModelSerializer[Conversation]):
    class Meta:
        model = Conversation
        fields = ["id", "bot", "origin", "title", "created_at", "updated_at"]
        read_only_fields = fields


class ImageInput(serializers.Serializer[Any]):
    """The picture itself, never an address: nothing is fetched for a question."""

    media_type = serializers.ChoiceField(choices=MEDIA_TYPES)
    data = serializers.CharField(  # type: ignore[assignment]  # DRF takes it for a field, not for its own data
        max_length=MAX_IMAGE_BYTES * 4 // 3 + 4, help_text="Base64, 5 MiB of bytes at most."
    )


class MessageInput(serializers.Serializer[Message]):
    text = serializers.CharField(trim_whitespace=False)
    images = serializers.ListField(
        child=ImageInput(), max_length=MAX_IMAGES, default=list, help_text="10 MiB of bytes together at most."
    )
    filters = FiltersInput(required=False)

    def validate_text(self, text: str) -> str:
        if not text.strip():
            raise serializers.ValidationError("Say something.", code="blank")
        limit = settings.MESSAGE_LIMIT_CHARS
        if len(text) > limit:
            raise serializers.ValidationError(f"At most {limit} characters.", code="max_length")
        return text


class CitedDocumentOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    title = serializers.CharField()


class CitedBotOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField(allow_null=True, help_text="Null where you may not see the bot any more.")


class CitationOutput(serializers.Serializer[Citation]):
    """`quote` is characters `start` to `end` of the page's text. Where the document was deleted, `document` and `bot`
    are null."""

    marker = serializers.IntegerField()
    bot = CitedBotOutput(allow_null=True, help_text="Whose document it is: of an answer across bots, one of many.")
    document = CitedDocumentOutput(allow_null=True, source="version.document", default=None)
    version = serializers.IntegerField(allow_null=True, source="version.number", default=None)
    page = serializers.IntegerField()
    label = serializers.CharField(  # type: ignore[assignment]  # DRF takes it for a field, not for its own label
        allow_null=True, help_text="What the page is: a page, a sheet, a chapter, a post."
    )
    heading = serializers.SerializerMethodField(help_text="The headings that the quote stands under, outermost first.")
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    quote = serializers.CharField(allow_null=True)
    link = serializers.SerializerMethodField(help_text="Where the page, or else its document, came from.")
    author = serializers.CharField(allow_null=True)
    dated = serializers.DateTimeField(allow_null=True)
    score = serializers.FloatField()
    outdated = serializers.SerializerMethodField(help_text="The document has a newer version, or is gone.")
    changed = serializers.SerializerMethodField(help_text="The source has changed since: its content is another one.")

    def get_heading(self, citation: Any) -> str | None:
        return None if citation.label is None else str(citation.heading)

    def get_link(self, citation: Any) -> str | None:
        if citation.link is None:
            return None
        return str(citation.link or citation.version.document.link)

    def get_outdated(self, citation: Citation) -> bool:
        version = citation.version
        return version is None or version.document.version_id != version.pk

    def get_changed(self, citation: Citation) -> bool:
        version = citation.version
        return version is not None and version.document.sha256 != version.sha256


class OpenedCitationOutput(CitationOutput):
    """A citation with the whole page it points into."""

    page_text = serializers.CharField(allow_null=True)


class UsageOutput(serializers.Serializer[Answer]):
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    estimated = serializers.BooleanField(source="usage_estimated")
    charged = serializers.IntegerField(allow_null=True, help_text="Credits; null while the answer runs.")


class EvidenceOutput(serializers.Serializer[Any]):
    """Characters `start` to `end` of the page that the citation `marker` points into."""

    marker = serializers.IntegerField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    score = serializers.FloatField()


class SentenceOutput(serializers.Serializer[Any]):
    """Characters `start` to `end` of the answer's text. What states something (`claim`) and is not `supported` was not
    found in the sources."""

    start = serializers.IntegerField()
    end = serializers.IntegerField()
    claim = serializers.BooleanField()
    supported = serializers.BooleanField()
    score = serializers.FloatField(help_text="0 to 1: how well the best of its passages supports it.")
    markers = serializers.ListField(child=serializers.IntegerField())
    evidence = EvidenceOutput(many=True)


class StepOutput(serializers.ModelSerializer[Step]):
    class Meta:
        model = Step
        fields = ["number", "tool", "arguments", "result", "error_code", "milliseconds"]
        read_only_fields = fields


class AnswerErrorOutput(serializers.Serializer[Answer]):
    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")
    retryable = serializers.BooleanField(source="error_retryable")
    request_id = serializers.CharField()


class AnswerOutput(serializers.ModelSerializer[Answer]):
    citations = CitationOutput(many=True)
    usage = UsageOutput(source="*")
    support = SentenceOutput(many=True)
    steps = StepOutput(many=True)
    follow_ups = serializers.ListField(child=serializers.CharField(), help_text="Questions that may come next.")
    error = serializers.SerializerMethodField()

    class Meta:
        model = Answer
        fields = [
            "id",
            "conversation",
            "message",
            "state",
            "text",
            "model",
            "answered_by",
            "curated",
            "degraded",
            "replay_of",
            "same_prompt",
            "finish_reason",
            "citations",
            "citations_rejected",
            "support",
            "steps",
            "follow_ups",
            "usage",
            "error",
            "created_at",
            "finished_at",
        ]
        read_only_fields = fields

    @extend_schema_field(AnswerErrorOutput(allow_null=True))
    def get_error(self, answer: Answer) -> dict[str, Any] | None:
        return dict(AnswerErrorOutput(answer).data) if answer.state == AnswerState.FAILED else None


class ImageOutput(serializers.ModelSerializer[MessageImage]):
    class Meta:
        model = MessageImage
        fields = ["position", "media_type"]
        read_only_fields = fields


class MessageOutput(serializers.ModelSerializer[Message]):
    """`answers` are oldest first; the last one that is no replay counts."""

    images = ImageOutput(many=True)
    answers = AnswerOutput(many=True)

    class Meta:
        model = Message
        fields = ["id", "conversation", "text", "images", "created_at", "answers"]
        read_only_fields = fields
