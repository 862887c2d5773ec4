from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.conversations.models import Answer
from backend.core.admin import Shown, link_to


@admin.register(Answer)
class AnswerAdmin(Shown, ModelAdmin):
    """How answers ended and what they cost. What was said stays between the person and the bot: no text is shown."""

    list_display = [
        "created_at",
        "user",
        "bot",
        "model",
        "answered_by",
        "state",
        "error_code",
        "charged",
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
        bot = answer.conversation.bot
        return link_to("bots_bot", bot.pk, bot) if bot else "-"
