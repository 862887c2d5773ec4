"""Neither the address nor what was told is the operator's business."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from backend.core.admin import Shown
from backend.webhooks.models import Delivery, Endpoint


@admin.register(Endpoint)
class EndpointAdmin(Shown, ModelAdmin):
    list_display = ["owner", "events", "enabled", "disabled_by", "failing_since", "created_at"]
    list_filter = ["enabled", "disabled_by"]
    search_fields = ["id", "owner__email"]
    list_select_related = ["owner"]
    fields = ["id", "owner", "events", "enabled", "disabled_by", "disabled_at", "failing_since", "created_at"]


@admin.register(Delivery)
class DeliveryAdmin(Shown, ModelAdmin):
    list_display = [
        "created_at", "owner", "event", "state", "tries", "last_status", "last_code", "last_milliseconds", "next_at",
    ]  # fmt: skip
    list_select_related = ["endpoint__owner"]
    list_filter = ["state", "event", "last_code"]
    search_fields = ["id", "endpoint__id", "endpoint__owner__email"]
    fields = [
        "id", "endpoint", "event", "state", "tries", "failures", "next_at", "lease_until", "last_status", "last_code",
        "last_milliseconds", "last_at", "created_at",
    ]  # fmt: skip

    def owner(self, delivery: Delivery) -> str:
        return str(delivery.endpoint.owner)
