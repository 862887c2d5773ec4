from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.conversations.models import Answer


@admin.register(Answer)
class AnswerAdmin(ModelAdmin):
    """How answers ended and what they cost. What was said stays between the person and the bot: no text is shown."""

    list_display = ["id", "user", "model", "answered_by", "state", "error_code", "charged", "created_at", "finished_at"]
    list_filter = ["state", "model", "degraded", "error_code"]
    search_fields = ["id", "user__email", "request_id"]
    list_select_related = ["user"]
    fields = [
        "id",
        "user",
        "conversation",
        "model",
        "answered_by",
        "degraded",
        "state",
        "finish_reason",
        "error_code",
        "error_message",
        "charged",
        "input_tokens",
        "output_tokens",
        "request_id",
        "created_at",
        "finished_at",
    ]

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False
