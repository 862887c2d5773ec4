from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from backend.documents import services
from backend.documents.errors import NothingToRetry
from backend.documents.models import Document


@admin.register(Document)
class DocumentAdmin(ModelAdmin):
    """Where a document stands and why. Its text is its owner's business, and not shown."""

    list_display = ["title", "bot", "kind", "state", "stage", "error_code", "attempt", "updated_at"]
    list_filter = ["state", "kind", "format", "error_code"]
    search_fields = ["title", "id", "bot__name", "bot__owner__email"]
    list_select_related = ["bot"]
    fields = [
        "id", "bot", "kind", "title", "filename", "format", "size", "sha256", "file", "state", "stage", "pages_done",
        "pages_total", "chunks_done", "chunks_total", "attempt", "failures", "parser_crashes", "fence", "lease_until",
        "wake_at", "error_code", "error_message", "error_hint", "created_at", "updated_at",
    ]  # fmt: skip
    actions = ["retry"]

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    @admin.action(description="Retry failed ones, and those that wait for their next try", permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        retried = 0
        for document in queryset:
            try:
                services.retry(document=document)
            except NothingToRetry:
                continue
            retried += 1
        messages.success(request, f"{retried} of {len(queryset)} queued again.")

    def delete_model(self, _request: HttpRequest, obj: Document) -> None:
        services.delete_document(document=obj)

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[Document]) -> None:
        for document in queryset:
            services.delete_document(document=document)
