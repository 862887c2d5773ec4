from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.conversations.models import Receipt
from backend.conversations.rest.search_serializers import FoundPassageOutput
from backend.credits.serializers import EntryOutput, PriceOutput


class RankedPassageOutput(serializers.Serializer[Any]):
    """Where the passage stands: characters `start` to `end` of that page of that version. Marker `[n]` is its rank."""

    rank = serializers.IntegerField()
    chunk = serializers.UUIDField()
    bot = serializers.UUIDField(allow_null=True, default=None, help_text="Whose document it is.")
    document = serializers.UUIDField()
    version = serializers.UUIDField()
    page = serializers.IntegerField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    score = serializers.FloatField()


class ReceiptOutput(serializers.ModelSerializer[Receipt]):
    """What an answer was made from and how; no text of a document is in it."""

    answered_by = serializers.CharField(source="answer.answered_by", help_text="The model, which may be a fallback.")
    replay_of = serializers.UUIDField(source="answer.replay_of_id", allow_null=True)
    same_prompt = serializers.BooleanField(
        source="answer.same_prompt", allow_null=True, help_text="Of a replay: whether the model was given the same."
    )
    passages = RankedPassageOutput(many=True)
    checks = serializers.DictField(child=serializers.IntegerField())
    timings = serializers.DictField(child=serializers.FloatField(), help_text="Milliseconds.")
    parameters = serializers.DictField()
    price = serializers.SerializerMethodField(help_text="The row of the price book that the answer was charged by.")
    entries = serializers.SerializerMethodField(help_text="Of the asker's ledger: the hold and its settlement.")

    class Meta:
        model = Receipt
        fields = [
            "answer",
            "query",
            "answered_by",
            "replay_of",
            "same_prompt",
            "prompt_sha256",
            "parameters",
            "passages",
            "checks",
            "timings",
            "price",
            "entries",
        ]
        read_only_fields = fields

    @extend_schema_field(PriceOutput(allow_null=True))
    def get_price(self, receipt: Any) -> dict[str, Any] | None:
        return dict(PriceOutput(receipt.entries[-1].price).data) if receipt.entries else None

    @extend_schema_field(EntryOutput(many=True))
    def get_entries(self, receipt: Any) -> list[Any]:
        return list(EntryOutput(receipt.entries, many=True).data)


class SaidOutput(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=["user", "assistant"])
    text = serializers.CharField()


class ContextTokensOutput(serializers.Serializer[Any]):
    """Estimates: four characters each."""

    instructions = serializers.IntegerField()
    history = serializers.IntegerField()
    question = serializers.IntegerField()
    passages = serializers.IntegerField()
    total = serializers.IntegerField()


class ContextOutput(serializers.Serializer[Any]):
    """What the next answer would be given."""

    model = serializers.CharField()
    fallbacks = serializers.ListField(child=serializers.CharField())
    instructions = serializers.CharField(allow_null=True, help_text="Null where the bot is another's.")
    strictness = serializers.CharField()
    history = SaidOutput(many=True)
    query = serializers.CharField(help_text="What was searched, where that is not the question itself.")
    passages = FoundPassageOutput(many=True)
    confidence = serializers.FloatField(allow_null=True)
    tokens = ContextTokensOutput()
    ceiling = serializers.IntegerField(help_text="Credits: what would be held, and the most that would be charged.")


class ContextInput(serializers.Serializer[Any]):
    question = serializers.CharField(required=False, max_length=8_000)
