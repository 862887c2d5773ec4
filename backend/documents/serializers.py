from typing import Any

from django.conf import settings
from django.core.validators import URLValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.core.errors import ChatSphereError
from backend.documents.models import Document, DocumentVersion, State
from backend.documents.uploads import LINK_CHARS
from backend.documents.usage_serializers import UploadQuotaOutput

TITLE_CHARS = 300


class LinkField(serializers.CharField):
    """A web address, for whoever follows a citation: nothing that a browser would run."""

    default_validators = [URLValidator(schemes=["http", "https"])]


class UploadInput(serializers.Serializer[Any]):
    """`multipart/form-data`. The title, of one file, is the file's name where none is given; `link` is shown with
    citations; with `review` nothing is embedded before you approve what was read."""

    file = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True),
        allow_empty=False,
        style={"base_template": "input.html", "input_type": "file"},
    )
    title = serializers.CharField(max_length=TITLE_CHARS, required=False, allow_blank=True, default="")
    link = LinkField(max_length=LINK_CHARS, required=False, allow_blank=True, default="")
    review = serializers.BooleanField(required=False, default=False)


class ReplacementInput(serializers.Serializer[Any]):
    """`multipart/form-data`. What is not given stays as it is."""

    file = serializers.FileField(allow_empty_file=True)
    title = serializers.CharField(max_length=TITLE_CHARS, required=False, allow_blank=True, default="")
    link = LinkField(max_length=LINK_CHARS, required=False, allow_blank=True, default="")


class TextInput(serializers.Serializer[Any]):
    """`application/json`"""

    title = serializers.CharField(max_length=TITLE_CHARS)
    text = serializers.CharField(trim_whitespace=False, max_length=settings.TEXT_LIMIT_CHARS)
    link = LinkField(max_length=LINK_CHARS, required=False, allow_blank=True, default="")
    review = serializers.BooleanField(required=False, default=False)


class DocumentChanges(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=TITLE_CHARS, required=False)
    link = LinkField(max_length=LINK_CHARS, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class RetryInput(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=60, required=False, allow_blank=True, default="")


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
    """`version` answers, whatever the state of a newer one, unless `enabled` is false."""

    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    version = VersionOutput(allow_null=True, read_only=True)

    class Meta:
        model = Document
        fields = [
            "id", "bot", "kind", "title", "filename", "format", "media_type", "size", "sha256", "link", "enabled",
            "review", "state", "stage", "progress", "attempt", "error", "version", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ProgressOutput)
    def get_progress(self, document: Document) -> dict[str, Any]:
        return _progress(document)

    @extend_schema_field(FailureOutput(allow_null=True))
    def get_error(self, document: Document) -> dict[str, Any] | None:
        return _error(document)


def _progress(document: Document) -> dict[str, Any]:
    pages = {"done": document.pages_done, "total": document.pages_total}
    chunks = {"done": document.chunks_done, "total": document.chunks_total}
    return {"pages": pages, "chunks": chunks}


def _error(document: Document) -> dict[str, Any] | None:
    if not document.error_code or document.state not in (State.FAILED, State.QUEUED):
        return None
    return {
        "code": document.error_code,
        "message": document.error_message,
        "hint": document.error_hint,
        "retry_at": serializers.DateTimeField().to_representation(document.wake_at) if document.wake_at else None,
    }


class UploadErrorOutput(serializers.Serializer[Any]):
    """As an upload of this file alone would have been answered; what is allowed stands in the limits, not here."""

    code = serializers.CharField()
    message = serializers.CharField()
    details = serializers.SerializerMethodField()

    def get_details(self, error: ChatSphereError) -> dict[str, Any]:
        return {name: value for name, value in error.details.items() if name != "formats"}


class UploadOutput(serializers.Serializer[Any]):
    """One file: the document that was made of it, or why there is none. `name` is its path inside an archive."""

    name = serializers.CharField()
    document = DocumentOutput(allow_null=True)
    error = UploadErrorOutput(allow_null=True)


class UploadsOutput(serializers.Serializer[Any]):
    """Every file in its order."""

    created = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = UploadOutput(many=True)


class ReplacedOutput(serializers.Serializer[Any]):
    """`changed` is false where these bytes are what the document had already."""

    changed = serializers.BooleanField()
    document = DocumentOutput()


class PlaceOutput(serializers.Serializer[Any]):
    """Documents that come before this one, and those in work; owners take turns."""

    ahead = serializers.IntegerField()
    ahead_yours = serializers.IntegerField()
    in_work = serializers.IntegerField()
    in_work_yours = serializers.IntegerField()


class WorkersOutput(serializers.Serializer[Any]):
    """`seen` is the last sign of any."""

    alive = serializers.IntegerField()
    seen = serializers.DateTimeField(allow_null=True)


class WhyOutput(serializers.Serializer[Any]):
    """`until` is when the wait ends by itself, null where it does not. `queue` is null for what does not wait in it;
    `lease_until` for what nobody works on."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)
    queue = PlaceOutput(allow_null=True)
    workers = WorkersOutput()
    lease_until = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField()
    parser_crashes = serializers.IntegerField()
    checked_at = serializers.DateTimeField()
    document = DocumentOutput()


class FormatOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    extensions = serializers.ListField(child=serializers.CharField())
    file_bytes = serializers.IntegerField()


class LimitsOutput(serializers.Serializer[Any]):
    """`file_bytes` of one file; `request_bytes` and `request_files` of one request; `quota` of your plan."""

    file_bytes = serializers.IntegerField()
    request_bytes = serializers.IntegerField()
    request_files = serializers.IntegerField()
    pages = serializers.IntegerField()
    text_chars = serializers.IntegerField()
    formats = FormatOutput(many=True)
    quota = UploadQuotaOutput()


class RetriedOutput(serializers.Serializer[Any]):
    """How many documents were queued, in all and by the code of what had failed."""

    queued = serializers.IntegerField()
    by_code = serializers.DictField(child=serializers.IntegerField())


class QueuedOutput(serializers.Serializer[Any]):
    """How many documents were queued."""

    queued = serializers.IntegerField()
