from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.core.admin import Shown
from backend.sharing.models import Share


@admin.register(Share)
class ShareAdmin(Shown, ModelAdmin):
    """Which links there are. What they show is not shown here."""

    list_display = ["created_at", "user", "bot"]
    search_fields = ["id", "conversation__id", "conversation__user__email"]
    list_select_related = ["conversation__user", "conversation__bot"]
    fields = ["id", "user", "bot", "conversation_id", "created_at"]
    readonly_fields = fields

    def user(self, share: Share) -> str:
        return str(share.conversation.user)

    def bot(self, share: Share) -> str:
        return str(share.conversation.bot or "-")
