from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.sharing.models import Share


@admin.register(Share)
class ShareAdmin(ModelAdmin):
    """Which links there are. What they show is not shown here."""

    list_display = ["id", "user", "conversation_id", "created_at"]
    search_fields = ["id", "conversation__id", "conversation__user__email"]
    list_select_related = ["conversation__user"]
    fields = ["id", "user", "conversation_id", "created_at"]
    readonly_fields = fields

    def user(self, share: Share) -> str:
        return str(share.conversation.user)

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False
