from collections.abc import Callable
from contextlib import suppress

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from backend.core.admin import DeletedByService, NotEdited
from backend.core.errors import Conflict
from backend.documents import services, usage_admin, why
from backend.documents.models import Document

__all__ = ["DocumentAdmin", "usage_admin"]


@admin.register(Document)
class DocumentAdmin(DeletedByService, NotEdited, ModelAdmin):
    """Where a document stands and why. Its text is its owner's business, and not shown."""

    list_display = ["title", "bot", "kind", "state", "stage", "enabled", "error_code", "attempt", "updated_at"]
    list_filter = ["state", "kind", "format", "enabled", "error_code"]
    search_fields = ["title", "id", "bot__name", "bot__owner__email"]
    list_select_related = ["bot"]
    fields = [
        "id", "bot", "kind", "title", "filename", "format", "size", "sha256", "file", "link", "enabled", "review",
        "state", "stage", "reason", "pages_done", "pages_total", "chunks_done", "chunks_total", "attempt", "failures",
        "parser_crashes", "fence", "lease_until", "wake_at", "error_code", "error_message", "error_hint", "created_at",
        "updated_at",
    ]  # fmt: skip
    readonly_fields = ["reason"]
    actions = ["retry", "cancel", "switch_off", "switch_on"]

    @admin.display(description="Why it is where it is")
    def reason(self, document: Document) -> str:
        return why.explain(why.snapshot(document)).message

    @admin.action(
        description="Retry failed and cancelled ones, and those that wait for their next try", permissions=["view"]
    )
    def retry(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        self._each(request, queryset, services.retry, "queued again")

    @admin.action(description="Cancel what is queued or under way", permissions=["view"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        self._each(request, queryset, services.cancel, "cancelled")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Document], act: Callable[..., Document], what: str
    ) -> None:
        done = 0
        for document in queryset:
            with suppress(Conflict):  # those that are in another state are passed over, and counted
                act(document=document)
                done += 1
        messages.success(request, f"{done} of {len(queryset)} {what}.")

    @admin.action(description="Switch off: answers nothing, is kept", permissions=["view"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        self._switch(request, queryset, enabled=False)

    @admin.action(description="Switch on", permissions=["view"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        self._switch(request, queryset, enabled=True)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Document], *, enabled: bool) -> None:
        chosen = Document.objects.filter(pk__in=queryset.values("pk"))
        changed = services.set_enabled(documents_queryset=chosen, enabled=enabled)
        messages.success(request, f"{changed} switched {'on' if enabled else 'off'}.")

    def delete_model(self, request: HttpRequest, obj: Document) -> None:
        services.delete_document(document=obj, requested_by=request.user.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        for document in queryset:
            services.delete_document(document=document, requested_by=request.user.pk)
