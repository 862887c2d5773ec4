from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.documents.models import Chunk, Document, DocumentVersion, Page, State

TITLE_CHARS = 300


class UploadInput(serializers.Serializer[Any]):
    """`multipart/form-data`. The title is the file's name where none is given."""

    file = serializers.FileField(allow_empty_file=True)
    title = serializers.CharField(max_length=TITLE_CHARS, required=False, allow_blank=True, default="")


class TextInput(serializers.Serializer[Any]):
    """`application/json`"""

    title = serializers.CharField(max_length=TITLE_CHARS)
    text = serializers.CharField(trim_whitespace=False, max_length=settings.TEXT_LIMIT_CHARS)


class TitleInput(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=TITLE_CHARS)


class UnitsOutput(serializers.Serializer[Any]):
    """`total` is null until it is known."""

    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)


class ProgressOutput(serializers.Serializer[Any]):
    pages = UnitsOutput()
    chunks = UnitsOutput()


class FailureOutput(serializers.Serializer[Any]):
    """`retry_at` is when it is tried again by itself; null where that is up to you."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()
    retry_at = serializers.DateTimeField(allow_null=True)


class VersionOutput(serializers.ModelSerializer[DocumentVersion]):
    """What answers are made from."""

    class Meta:
        model = DocumentVersion
        fields = ["id", "number", "page_count", "char_count", "chunk_count", "created_at"]
        read_only_fields = fields


class DocumentOutput(serializers.ModelSerializer[Document]):
    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    version = VersionOutput(allow_null=True, read_only=True)

    class Meta:
        model = Document
        fields = [
            "id", "bot", "kind", "title", "filename", "format", "media_type", "size", "sha256", "state", "stage",
            "progress", "attempt", "error", "version", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ProgressOutput)
    def get_progress(self, document: Document) -> dict[str, Any]:
        pages = {"done": document.pages_done, "total": document.pages_total}
        chunks = {"done": document.chunks_done, "total": document.chunks_total}
        return {"pages": pages, "chunks": chunks}

    @extend_schema_field(FailureOutput(allow_null=True))
    def get_error(self, document: Document) -> dict[str, Any] | None:
        if not document.error_code or document.state not in (State.FAILED, State.QUEUED):
            return None
        return {
            "code": document.error_code,
            "message": document.error_message,
            "hint": document.error_hint,
            "retry_at": serializers.DateTimeField().to_representation(document.wake_at) if document.wake_at else None,
        }


class FormatOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    extensions = serializers.ListField(child=serializers.CharField())
    file_bytes = serializers.IntegerField()


class LimitsOutput(serializers.Serializer[Any]):
    file_bytes = serializers.IntegerField()
    pages = serializers.IntegerField()
    text_chars = serializers.IntegerField()
    formats = FormatOutput(many=True)


class QueuedOutput(serializers.Serializer[Any]):
    """How many documents were queued."""

    queued = serializers.IntegerField()


class PageOutput(serializers.ModelSerializer[Page]):
    """A page in a list, without its text."""

    chars = serializers.IntegerField(read_only=True)

    class Meta:
        model = Page
        fields = ["number", "label", "chars"]
        read_only_fields = fields


class PageTextOutput(serializers.ModelSerializer[Page]):
    class Meta:
        model = Page
        fields = ["number", "label", "text"]
        read_only_fields = fields


class ChunkOutput(serializers.ModelSerializer[Chunk]):
    """`text` is characters `start` to `end` of the text of page `page`."""

    class Meta:
        model = Chunk
        fields = ["id", "position", "page", "start", "end", "text"]
        read_only_fields = fields
