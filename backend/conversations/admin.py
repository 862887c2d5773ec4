from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.conversations.models import Answer


@admin.register(Answer)
class AnswerAdmin(ModelAdmin):
    """How answers ended and what they cost. What was said stays between the person and the bot: no text is shown."""

    list_display = [
        "id",
        "user",
        "bot",
        "model",
        "answered_by",
        "state",
        "error_code",
        "charged",
        "created_at",
        "finished_at",
    ]
    list_filter = ["state", "model", "degraded", "error_code"]
    search_fields = ["id", "user__email", "request_id"]
    list_select_related = ["user", "conversation__bot"]
    fields = [
        "id",
        "user",
        "conversation_id",
        "bot",
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

    def bot(self, answer: Answer) -> str:
        """There is none where many bots were searched, or a program asked a model itself."""
        return str(answer.conversation.bot or "-")

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False
