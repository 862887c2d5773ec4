from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.feedback.models import Feedback


@admin.register(Feedback)
class FeedbackAdmin(ModelAdmin):
    """How answers were received. What was said is between the person and the bot's owner: no text is shown."""

    list_display = ["id", "bot", "rating", "commented", "created_at", "updated_at"]
    list_filter = ["rating"]
    search_fields = ["id", "bot__id", "answer__id"]
    list_select_related = ["bot"]
    fields = ["id", "bot", "answer_id", "rating", "commented", "created_at", "updated_at"]
    readonly_fields = fields

    @admin.display(boolean=True)
    def commented(self, feedback: Feedback) -> bool:
        return bool(feedback.comment)

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False
