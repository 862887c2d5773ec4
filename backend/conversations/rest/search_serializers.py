from typing import Any

from django.conf import settings
from rest_framework import serializers

from backend.conversations.passages.filtering import NO_FILTERS, Filters
from backend.core.serializers import OnlyKnownFields
from backend.users.models import User

MOST_NAMED = 100


class FiltersInput(OnlyKnownFields):
    """Narrows a search. What names nothing that may be searched finds nothing."""

    sources = serializers.ListField(child=serializers.UUIDField(), max_length=MOST_NAMED, required=False)
    documents = serializers.ListField(child=serializers.UUIDField(), max_length=MOST_NAMED, required=False)
    dated_from = serializers.DateField(
        required=False, allow_null=True, help_text="Of pages that have a date of their own, such as posts (UTC)."
    )
    dated_to = serializers.DateField(required=False, allow_null=True, help_text="That day included.")
    heading = serializers.CharField(
        max_length=300, required=False, allow_blank=True, help_text="What the headings above a passage begin with."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        first, last = attrs.get("dated_from"), attrs.get("dated_to")
        if first and last and first > last:
            raise serializers.ValidationError({"dated_to": "Before dated_from."})
        return attrs


def filters_of(validated: dict[str, Any] | None, *, asker: User) -> Filters:
    return Filters(asker.pk, **validated) if validated else NO_FILTERS


class SearchInput(serializers.Serializer[Any]):
    query = serializers.CharField()
    limit = serializers.IntegerField(min_value=1, max_value=20, default=10)
    filters = FiltersInput(required=False)

    def validate_query(self, query: str) -> str:
        limit = settings.MESSAGE_LIMIT_CHARS
        if len(query) > limit:
            raise serializers.ValidationError(f"At most {limit} characters.", code="max_length")
        return query


class SearchAcrossInput(SearchInput):
    """`mode` "search" gives passages and costs nothing; "chat" one answer over them, paid as any other."""

    mode = serializers.ChoiceField(choices=["search", "chat"], default="search")
    bots = serializers.ListField(
        child=serializers.UUIDField(),
        max_length=MOST_NAMED,
        required=False,
        help_text="Only these, if you may see them.",
    )


class FoundDocumentOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="document_id")
    title = serializers.CharField(source="document_title")


class FoundBotOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="bot_id")
    name = serializers.CharField(source="bot_name")


class FoundPassageOutput(serializers.Serializer[Any]):
    """`text` is characters `start` to `end` of the page's text."""

    document = FoundDocumentOutput(source="*")
    version = serializers.IntegerField(source="version_number")
    page = serializers.IntegerField()
    label = serializers.CharField(  # type: ignore[assignment]  # DRF takes it for a field, not for its own label
        help_text="What the page is: a page, a sheet, a chapter, a post."
    )
    heading = serializers.CharField(help_text="The headings that the passage stands under, outermost first.")
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    text = serializers.CharField()
    link = serializers.CharField(help_text="Where the page, or else its document, came from; or empty.")
    author = serializers.CharField()
    dated = serializers.DateTimeField(allow_null=True)
    score = serializers.FloatField(help_text="0 to 1, compared with the best passage for this question.")
    changed = serializers.BooleanField(help_text="The source's content is another one already; it is being read.")


class SearchOutput(serializers.Serializer[Any]):
    passages = FoundPassageOutput(many=True)
    confidence = serializers.FloatField(
        help_text="0 to 1: how sure it is that something here answers, by the question's weighted words."
    )
    notes = serializers.ListField(
        child=serializers.CharField(), help_text="What was left out or failed, such as drawn_date_dropped."
    )


class FoundAcrossOutput(FoundPassageOutput):
    bot = FoundBotOutput(source="*")


class SearchAcrossOutput(SearchOutput):
    passages = FoundAcrossOutput(many=True)
