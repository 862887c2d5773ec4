from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.core.admin import Shown, link_to
from backend.feedback.models import Feedback


@admin.register(Feedback)
class FeedbackAdmin(Shown, ModelAdmin):
    """How answers were received. What was said is between the person and the bot's owner: no text is shown."""

    list_display = ["created_at", "bot", "rating", "commented", "updated_at"]
    list_filter = ["rating"]
    search_fields = ["id", "bot__id", "answer__id"]
    list_select_related = ["bot"]
    fields = ["id", "bot", "told_of", "rating", "commented", "created_at", "updated_at"]
    readonly_fields = fields

    @admin.display(boolean=True)
    def commented(self, feedback: Feedback) -> bool:
        return bool(feedback.comment)

    @admin.display(description="Answer")
    def told_of(self, feedback: Feedback) -> str:
        return link_to("conversations_answer", feedback.answer_id, feedback.answer)
