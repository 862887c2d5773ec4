from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from backend.core.admin import DeletedByService, NotEdited
from backend.sources import services
from backend.sources.errors import SourceBusy, SourceNotFound, SourcePaused
from backend.sources.models import Source


@admin.register(Source)
class SourceAdmin(DeletedByService, NotEdited, ModelAdmin):
    """Where a source stands and why."""

    list_display = ["title", "bot", "kind", "state", "paused", "error_code", "synced_at", "next_sync_at"]
    list_filter = ["state", "kind", "paused", "error_code"]
    search_fields = ["title", "link", "id", "bot__name", "bot__owner__email"]
    list_select_related = ["bot"]
    fields = [
        "id", "bot", "kind", "title", "link", "configuration", "enabled", "paused", "every_minutes", "next_sync_at",
        "state", "run", "extent", "counts", "started_at", "synced_at", "failures", "fence", "lease_until", "wake_at",
        "error_code", "error_message", "error_hint", "created_at", "updated_at",
    ]  # fmt: skip
    actions = ["sync"]

    @admin.action(description="Sync now", permissions=["view"])
    def sync(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        queued = 0
        for source in queryset:
            try:
                services.sync_now(source=source)
            except (SourceBusy, SourcePaused, SourceNotFound):
                continue
            queued += 1
        messages.success(request, f"{queued} of {len(queryset)} queued.")

    def delete_model(self, _request: HttpRequest, obj: Source) -> None:
        services.delete_source(source=obj)

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[Source]) -> None:
        for source in queryset:
            services.delete_source(source=source)
