from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.documents.models import Erasure


@admin.register(Erasure)
class ErasureAdmin(ModelAdmin):
    """What was deleted, by whom, and what was read back as gone. Nobody changes it."""

    list_display = ["requested_at", "subject", "subject_id", "owner_id", "requested_by", "erased_at"]
    list_filter = ["subject", ("erased_at", admin.EmptyFieldListFilter)]
    search_fields = ["subject_id", "owner_id", "requested_by"]
    ordering = ["-id"]
    fields = ["id", "subject", "subject_id", "owner_id", "requested_by", "requested_at", "erased_at", "counts"]
    actions = None

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False
