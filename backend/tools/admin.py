from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from backend.tools.models import Tool


@admin.register(Tool)
class ToolAdmin(ModelAdmin):
    """To look at. A tool is its bot owner's; its headers are sealed and not shown."""

    list_display = ("name", "kind", "bot", "enabled", "created_at")
    list_filter = ("kind", "enabled")
    exclude = ("headers",)

    def has_add_permission(self, _request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, *_: Any) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, *_: Any) -> bool:
        return False
