from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.sources import services
from backend.sources.models import Item, Source, SourceState

TITLE_CHARS = 300
_YEAR_MINUTES = 366 * 24 * 60


def _every_minutes(**options: Any) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=settings.SOURCE_MINUTES_MIN, max_value=_YEAR_MINUTES, allow_null=True, required=False, **options
    )


class SourceInput(serializers.Serializer[Any]):
    """`configuration` by kind:

    - `page`: `url`
    - `sitemap`: `url`; `pages`, how many at most; `include` and `exclude`, lists of what paths begin with
    - `site`: the same, and `depth`, how many links away from `url` the last page may be (3)

    `every_minutes` is left out where it is to be synced by hand only. Other kinds are described where their connectors
    are; the limits tell which there are.
    """

    kind = serializers.CharField(max_length=20)
    configuration = serializers.DictField()
    title = serializers.CharField(max_length=TITLE_CHARS, allow_blank=True, required=False)
    every_minutes = _every_minutes()


class SourceChanges(serializers.Serializer[Any]):
    """Whatever is given is set. A paused source is not synced; one that is not enabled answers nothing."""

    title = serializers.CharField(max_length=TITLE_CHARS, required=False)
    every_minutes = _every_minutes()
    paused = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)

    def to_internal_value(self, data: Any) -> Any:
        fixed = [name for name in ("kind", "configuration") if isinstance(data, dict) and name in data]
        if fixed:
            told = "It cannot be changed: delete the source and make another."
            raise serializers.ValidationError({name: [told] for name in fixed}, code="fixed")
        return super().to_internal_value(data)


class SyncInput(serializers.Serializer[Any]):
    """`full` reads everything anew, also what the place says has not changed."""

    full = serializers.BooleanField(required=False, default=False)


class ResolveInput(serializers.Serializer[Any]):
    """`retry` tries it again; `dismiss` keeps it out of the list of errors until it fails in another way."""

    action = serializers.ChoiceField(choices=[services.RETRY, services.DISMISS])


class ResolvedOutput(serializers.Serializer[Any]):
    """How many items were resolved."""

    resolved = serializers.IntegerField()


class ProblemOutput(serializers.Serializer[Any]):
    """`retry_at` is when it goes on by itself; null where that is up to you or to the schedule."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()
    retry_at = serializers.DateTimeField(allow_null=True)


class ItemCountsOutput(serializers.Serializer[Any]):
    """`failed` are those with an error that is not resolved."""

    total = serializers.IntegerField()
    failed = serializers.IntegerField()


class SourceOutput(serializers.ModelSerializer[Source]):
    """`state` is `idle` or `failed` between two runs, by how the last one ended. `last_run` counts what the run under
    way, or the last one, has found: new, changed, unchanged, removed, failed, skipped, and what is particular to a
    kind."""

    items = serializers.SerializerMethodField()
    last_run = serializers.DictField(source="counts", child=serializers.IntegerField())
    error = serializers.SerializerMethodField()

    class Meta:
        model = Source
        fields = [
            "id", "bot", "kind", "title", "link", "configuration", "enabled", "paused", "every_minutes", "state",
            "items", "last_run", "error", "started_at", "synced_at", "next_sync_at", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ItemCountsOutput)
    def get_items(self, source: Source) -> dict[str, int]:
        return {"total": source.items.count(), "failed": services.failed_items(source).count()}

    @extend_schema_field(ProblemOutput(allow_null=True))
    def get_error(self, source: Source) -> dict[str, Any] | None:
        return _problem(source, source.wake_at if source.state == SourceState.QUEUED else None)


class ItemDocumentOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    title = serializers.CharField()
    state = serializers.CharField()


class ItemOutput(serializers.ModelSerializer[Item]):
    """`document` is null where nothing of it could be read yet. `error` also tells why its document failed."""

    document = ItemDocumentOutput(allow_null=True, read_only=True)
    error = serializers.SerializerMethodField()

    class Meta:
        model = Item
        fields = ["id", "external_id", "title", "link", "state", "document", "error", "checked_at", "changed_at"]
        read_only_fields = fields

    @extend_schema_field(ProblemOutput(allow_null=True))
    def get_error(self, item: Item) -> dict[str, Any] | None:
        document = item.document
        if not item.error_code and document is not None and document.error_code:
            return _problem(document, document.wake_at)
        return _problem(item, None)


def _problem(row: Any, retry_at: Any) -> dict[str, Any] | None:
    if not row.error_code:
        return None
    return {
        "code": row.error_code,
        "message": row.error_message,
        "hint": row.error_hint,
        "retry_at": serializers.DateTimeField().to_representation(retry_at) if retry_at else None,
    }


class SourceLimitsOutput(serializers.Serializer[Any]):
    """`every_minutes` is the shortest interval of a schedule; `sources` and `items` are the most of a bot and of one
    source, `pages` the most of a site or sitemap."""

    kinds = serializers.ListField(child=serializers.CharField())
    sources = serializers.IntegerField()
    items = serializers.IntegerField()
    pages = serializers.IntegerField()
    every_minutes = serializers.IntegerField()
