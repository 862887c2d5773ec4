from typing import Any

from rest_framework import serializers

from backend.curated.models import ANSWER_CHARS, Pair
from backend.curated.phrasing import CHARS

PHRASINGS = 10


class LinkField(serializers.URLField):
    """Followed by whoever reads the answer: nothing but http and https, so that it cannot be a script."""

    def to_internal_value(self, data: Any) -> str:
        link = str(super().to_internal_value(data))
        if not link.lower().startswith(("http://", "https://")):
            self.fail("invalid")
        return link


class PairInput(serializers.Serializer[Pair]):
    """`questions` are the ways of asking what `answer` answers."""

    questions = serializers.ListField(
        child=serializers.CharField(max_length=CHARS), allow_empty=False, max_length=PHRASINGS
    )
    answer = serializers.CharField(max_length=ANSWER_CHARS)
    link = LinkField(max_length=2000, allow_blank=True, required=False)
    enabled = serializers.BooleanField(required=False)


class PairOutput(serializers.ModelSerializer[Pair]):
    """`number` is in the label of its citation, "Question 3"."""

    bot = serializers.UUIDField(source="book.document.bot_id")
    document = serializers.UUIDField(source="book_id")
    questions = serializers.SerializerMethodField()

    class Meta:
        model = Pair
        fields = [
            "id",
            "bot",
            "document",
            "number",
            "questions",
            "answer",
            "link",
            "enabled",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    def get_questions(self, pair: Pair) -> list[str]:
        return [phrasing.text for phrasing in pair.phrasings.all()]
