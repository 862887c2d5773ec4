from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.webhooks.models import Delivery, Endpoint


class ReadOnly:
    """Shown, not edited; neither the address nor what was told is the operator's business."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


@admin.register(Endpoint)
class EndpointAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "owner", "events", "enabled", "disabled_by", "failing_since", "created_at"]
    list_filter = ["enabled", "disabled_by"]
    search_fields = ["id", "owner__email"]
    list_select_related = ["owner"]
    fields = ["id", "owner", "events", "enabled", "disabled_by", "disabled_at", "failing_since", "created_at"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "event", "state", "tries", "last_status", "last_code", "last_milliseconds", "created_at"]
    list_filter = ["state", "event", "last_code"]
    search_fields = ["id", "endpoint__id", "endpoint__owner__email"]
    fields = [
        "id", "endpoint", "event", "state", "tries", "failures", "next_at", "lease_until", "last_status", "last_code",
        "last_milliseconds", "last_at", "created_at",
    ]  # fmt: skip
