"""Of what was read from documents."""

from typing import Any

from rest_framework import serializers

from backend.documents.chunking import MAX_CHUNK_CHARS
from backend.documents.models import Chunk, Correction, DocumentVersion, Page


class ReadingOutput(serializers.ModelSerializer[DocumentVersion]):
    """`state` ready is what answers are made from; a retired version keeps its pages and loses its passages."""

    class Meta:
        model = DocumentVersion
        fields = [
            "id", "number", "state", "sha256", "embedding", "chunk_chars", "chunk_overlap", "page_count", "char_count",
            "chunk_count", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class PageOutput(serializers.ModelSerializer[Page]):
    """A page in a list, without its text."""

    chars = serializers.IntegerField(read_only=True)

    class Meta:
        model = Page
        fields = ["number", "label", "chars", "link", "author", "dated"]
        read_only_fields = fields


class PageTextOutput(serializers.ModelSerializer[Page]):
    class Meta:
        model = Page
        fields = ["number", "label", "text", "link", "author", "dated"]
        read_only_fields = fields


class ChunkOutput(serializers.ModelSerializer[Chunk]):
    """`text` is characters `start` to `end` of the text of page `page`. Of one that was edited, `correction` names the
    edit; one that is not `embedded` yet answers nothing."""

    page_label = serializers.CharField(read_only=True)
    correction = serializers.UUIDField(source="correction_id", allow_null=True, read_only=True)

    class Meta:
        model = Chunk
        fields = [
            "id", "position", "page", "page_label", "heading", "start", "end", "text", "enabled", "embedded",
            "correction",
        ]  # fmt: skip
        read_only_fields = fields


class ChunkChanges(serializers.Serializer[Any]):
    """Either of them."""

    text = serializers.CharField(max_length=MAX_CHUNK_CHARS, trim_whitespace=False, required=False)
    enabled = serializers.BooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Send text or enabled.")
        return attrs


class CorrectionOutput(serializers.ModelSerializer[Correction]):
    """`text` stands in the place of `original`; null where that is only switched off. `found` tells whether the version
    that serves has the passage."""

    found = serializers.BooleanField(read_only=True)

    class Meta:
        model = Correction
        fields = ["id", "original", "text", "found", "created_at"]
        read_only_fields = fields


class PreviewInput(serializers.Serializer[Any]):
    """As in a bot's configuration."""

    chunk_chars = serializers.IntegerField(min_value=200, max_value=4000)
    chunk_overlap = serializers.IntegerField(min_value=0, max_value=1000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["chunk_overlap"] * 2 > attrs["chunk_chars"]:
            raise serializers.ValidationError({"chunk_overlap": "At most half of chunk_chars."})
        return attrs


class PreviewPassageOutput(serializers.Serializer[Any]):
    page = serializers.IntegerField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    text = serializers.CharField()


class PreviewOutput(serializers.Serializer[Any]):
    """`passages` are the first of `count`. Of a long text the first `chars` of `total_chars` are looked at."""

    chars = serializers.IntegerField()
    total_chars = serializers.IntegerField()
    count = serializers.IntegerField()
    shortest = serializers.IntegerField()
    longest = serializers.IntegerField()
    passages = PreviewPassageOutput(many=True)


class PageRangeOutput(serializers.Serializer[Any]):
    """Both included."""

    first = serializers.IntegerField()
    last = serializers.IntegerField()


class SameTextOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    title = serializers.CharField()


class RefusedPartOutput(serializers.Serializer[Any]):
    part = serializers.CharField()
    reason = serializers.CharField()


class EstimateOutput(serializers.Serializer[Any]):
    """`tokens` is an estimate of what will be embedded, `credits` what that will be charged."""

    tokens = serializers.IntegerField()
    credits = serializers.IntegerField()
    message = serializers.CharField()


class FindingOutput(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class ReportOutput(serializers.Serializer[Any]):
    """`language` is an ISO 639-1 code, empty where it is not clear. `findings` say in sentences what to look at."""

    version = serializers.UUIDField()
    number = serializers.IntegerField()
    pages = serializers.IntegerField()
    characters = serializers.IntegerField()
    characters_per_page = serializers.ListField(child=serializers.IntegerField())
    empty_pages = PageRangeOutput(many=True)
    language = serializers.CharField(allow_blank=True)
    passages = serializers.IntegerField()
    repeated_passages = serializers.IntegerField()
    same_text = SameTextOutput(many=True)
    refused = RefusedPartOutput(many=True)
    refused_total = serializers.IntegerField()
    estimate = EstimateOutput()
    findings = FindingOutput(many=True)
    waits_for_your_go = serializers.BooleanField()
