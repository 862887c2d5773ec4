from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from backend.core.admin import NotEdited
from backend.telegram import services
from backend.telegram.models import TelegramSession


@admin.register(TelegramSession)
class TelegramSessionAdmin(NotEdited, ModelAdmin):
    """Which account reads channels here. A login is made on the command line, where nobody else sees the code."""

    list_display = ["account", "created_at", "revoked_at", "leaving_at"]
    fields = ["id", "account", "created_at", "revoked_at", "leaving_at", "holder", "lease_until", "follower"]

    def delete_model(self, request: HttpRequest, obj: TelegramSession) -> None:
        self._retire(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TelegramSession]) -> None:
        for session in queryset:
            self._retire(request, session)

    def _retire(self, request: HttpRequest, session: TelegramSession) -> None:
        services.retire(session=session)
        messages.info(request, "It is used no more. The worker logs it out at Telegram, and then it is gone from here.")
