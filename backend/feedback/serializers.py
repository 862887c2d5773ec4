from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from backend.conversations.models import Answer, AnswerState, Receipt
from backend.conversations.rest.serializers import AnswerErrorOutput, CitationOutput
from backend.feedback.models import COMMENT_CHARS, Feedback, Rating


class FeedbackInput(serializers.Serializer[Feedback]):
    rating = serializers.ChoiceField(choices=Rating.choices)
    comment = serializers.CharField(max_length=COMMENT_CHARS, allow_blank=True, required=False)


class FeedbackOutput(serializers.ModelSerializer[Feedback]):
    class Meta:
        model = Feedback
        fields = ["answer", "rating", "comment", "created_at", "updated_at"]
        read_only_fields = fields


class RatedAnswerOutput(serializers.ModelSerializer[Answer]):
    error = serializers.SerializerMethodField()

    class Meta:
        model = Answer
        fields = ["id", "state", "text", "model", "finish_reason", "curated", "degraded", "error"]
        read_only_fields = fields

    @extend_schema_field(AnswerErrorOutput(allow_null=True))
    def get_error(self, answer: Answer) -> dict[str, Any] | None:
        return dict(AnswerErrorOutput(answer).data) if answer.state == AnswerState.FAILED else None


class ReceivedOutput(serializers.ModelSerializer[Feedback]):
    """As the bot's owner sees it: what was asked and answered and what was said about it, never by whom."""

    question = serializers.CharField(source="answer.message.text")
    answer = RatedAnswerOutput()
    receipt = serializers.SerializerMethodField(help_text="Where to read what the answer was made from.")

    class Meta:
        model = Feedback
        fields = ["id", "rating", "comment", "question", "answer", "receipt", "created_at", "updated_at"]
        read_only_fields = fields

    def get_receipt(self, feedback: Feedback) -> str:
        return str(reverse("feedback-receipt", [feedback.bot_id, feedback.pk], request=self.context.get("request")))


class MadeFromOutput(serializers.ModelSerializer[Receipt]):
    """Ids and numbers of the bot's own passages. What was charged stands in the receipt of the person who paid."""

    class Meta:
        model = Receipt
        fields = ["query", "prompt_sha256", "parameters", "passages", "timings"]
        read_only_fields = fields


class OwnersReceiptOutput(serializers.ModelSerializer[Answer]):
    """`receipt` is null for an answer that was made without one."""

    citations = CitationOutput(many=True)
    receipt = serializers.SerializerMethodField()

    class Meta:
        model = Answer
        fields = ["id", "model", "answered_by", "citations", "citations_rejected", "support", "receipt"]
        read_only_fields = fields

    @extend_schema_field(MadeFromOutput(allow_null=True))
    def get_receipt(self, answer: Answer) -> dict[str, Any] | None:
        receipt = getattr(answer, "receipt", None)
        return dict(MadeFromOutput(receipt).data) if receipt else None


class UnansweredOutput(serializers.Serializer[Any]):
    """`count` repetitions of one question, and how many of them ended in each way; one may be in two of them."""

    question = serializers.CharField()
    count = serializers.IntegerField()
    not_found = serializers.IntegerField(help_text="Nothing in the documents answered it.")
    refused = serializers.IntegerField(help_text="The model declined.")
    failed = serializers.IntegerField(help_text="The answer ended in an error.")
    degraded = serializers.IntegerField(help_text="Passages were quoted in the place of a model that was away.")
    first_asked_at = serializers.DateTimeField()
    last_asked_at = serializers.DateTimeField()
