from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.conversations.models import Answer, Citation, Conversation
from backend.conversations.rest.serializers import ConversationOutput, MessageOutput
from backend.sharing.models import Share
from backend.sharing.services import Shared


class ShareOutput(serializers.ModelSerializer[Share]):
    turns = serializers.SerializerMethodField(help_text="How many are shown.")

    class Meta:
        model = Share
        fields = ["id", "conversation", "title", "turns", "created_at"]
        read_only_fields = fields

    def get_turns(self, share: Share) -> int:
        return share.turns.count()


class NewShareOutput(ShareOutput):
    token = serializers.CharField(read_only=True, help_text="Whoever has it can read. It is shown this once.")
    url = serializers.CharField(read_only=True)

    class Meta(ShareOutput.Meta):
        fields = [*ShareOutput.Meta.fields, "token", "url"]
        read_only_fields = fields


class SharedCitationOutput(serializers.Serializer[Citation]):
    """Everything but `marker` is null where the document is gone, or no longer for the person who shared."""

    marker = serializers.IntegerField()
    title = serializers.CharField(allow_null=True)
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # DRF takes it for a field, not for its own label
    heading = serializers.CharField(allow_null=True)
    quote = serializers.CharField(allow_null=True)
    link = serializers.CharField(allow_null=True)
    author = serializers.CharField(allow_null=True)
    dated = serializers.DateTimeField(allow_null=True)

    def to_representation(self, citation: Any) -> dict[str, Any]:
        seen = citation.quote is not None and citation.version.document.bot_id not in self.context["hidden_bots"]
        shown = dict.fromkeys(self.fields) | {"marker": citation.marker}
        if seen:
            document = citation.version.document
            shown |= {name: getattr(citation, name) for name in ("label", "heading", "quote", "author")}
            shown |= {"title": document.title, "link": citation.link or document.link}
            shown["dated"] = self.fields["dated"].to_representation(citation.dated) if citation.dated else None
        return shown


class SharedAnswerOutput(serializers.Serializer[Answer]):
    text = serializers.CharField()
    state = serializers.CharField()
    model = serializers.CharField()
    curated = serializers.BooleanField()
    degraded = serializers.BooleanField()
    citations = SharedCitationOutput(many=True)


class SharedTurnOutput(serializers.Serializer[Answer]):
    question = serializers.CharField(source="message.text")
    asked_at = serializers.DateTimeField(source="message.created_at")
    answer = SharedAnswerOutput(source="*")


class SharedOutput(serializers.Serializer[Shared]):
    """No id and no name of a person is in it."""

    title = serializers.CharField(source="share.title")
    bot = serializers.CharField(source="share.conversation.bot.name", allow_null=True, default=None)
    shared_at = serializers.DateTimeField(source="share.created_at")
    turns = serializers.SerializerMethodField()

    @extend_schema_field(SharedTurnOutput(many=True))
    def get_turns(self, shared: Shared) -> list[dict[str, Any]]:
        context = {"hidden_bots": shared.hidden_bots}
        turns: Any = shared.answers
        return [dict(turn) for turn in SharedTurnOutput(turns, many=True, context=context).data]


class ExportedOutput(serializers.Serializer[Conversation]):
    conversation = ConversationOutput(source="*")
    messages = serializers.SerializerMethodField(help_text="Oldest first, each with all its answers.")

    @extend_schema_field(MessageOutput(many=True))
    def get_messages(self, _conversation: Conversation) -> list[dict[str, Any]]:
        return [dict(message) for message in MessageOutput(self.context["messages"], many=True).data]
