from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.core.admin import Shown
from backend.tools.models import Tool


@admin.register(Tool)
class ToolAdmin(Shown, ModelAdmin):
    """To look at. A tool is its bot owner's; its headers are sealed and not shown."""

    list_display = ("name", "kind", "bot", "enabled", "created_at")
    list_filter = ("kind", "enabled")
    exclude = ("headers",)
