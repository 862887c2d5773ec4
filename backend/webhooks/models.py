"""Where people want to be told what happened, and every message that was to tell them.

A `Delivery` is written in the transaction of what it tells of. Whoever sends it holds a lease; `tries` is the fence:
the result of a try is written only while no later one has begun.
"""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from backend.core.ids import uuid7
from backend.users.models import User


class Event(models.TextChoices):
    """`data` of each is listed in docs/api.md."""

    DOCUMENT_READY = "document.ready"
    DOCUMENT_FAILED = "document.failed"
    SOURCE_SYNCED = "source.synced"
    SOURCE_FAILED = "source.failed"
    BALANCE_LOW = "balance.low"


PING = "ping"
"""Sent by hand to one endpoint, whatever it listens to."""


class DisabledBy(models.TextChoices):
    NOBODY = ""
    OWNER = "owner"
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # for days nothing came through


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def owned_by(self, user: User | AnonymousUser) -> "EndpointQuerySet":
        return self.filter(owner_id=user.pk, owner__is_active=True)


class Endpoint(models.Model):
    """An address of the owner's own program. `secret` signs what is sent there; the one before it for a while, too."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=2000)
    events = ArrayField(models.CharField(max_length=40, choices=Event.choices))
    description = models.CharField(max_length=200, blank=True)
    secret = models.CharField(max_length=400)  # sealed
    previous_secret = models.CharField(max_length=400, blank=True)  # sealed
    previous_until = models.DateTimeField(null=True)
    enabled = models.BooleanField(default=True)
    disabled_by = models.CharField(max_length=10, choices=DisabledBy.choices, default=DisabledBy.NOBODY, blank=True)
    disabled_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)  # the first failed try after the last one that came through
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = EndpointQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["owner", "-id"], name="webhook_endpoint_owner")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(enabled=True, disabled_by="") | models.Q(enabled=False) & ~models.Q(disabled_by=""),
                name="webhook_endpoint_why_disabled",
            )
        ]

    def __str__(self) -> str:
        return self.description or f"endpoint for {', '.join(self.events)}"


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # the last try did; another follows at `next_at`
    GIVEN_UP = "given_up"


OPEN = (DeliveryState.PENDING, DeliveryState.FAILED)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def owned_by(self, user: User | AnonymousUser) -> "DeliveryQuerySet":
        return self.filter(endpoint__owner_id=user.pk, endpoint__owner__is_active=True)


class Delivery(models.Model):
    """One message to one endpoint; its id is the `webhook-id`, the same in every try."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.CharField(max_length=40)
    data = models.JSONField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    tries = models.PositiveIntegerField(default=0)  # begun, ever
    failures = models.PositiveSmallIntegerField(default=0)  # since its event, or since it was last sent again by hand
    next_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)  # of HTTP
    last_code = models.CharField(max_length=60, blank=True)  # why there was none, or why it does not count
    last_milliseconds = models.PositiveIntegerField(null=True)
    last_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "-id"], name="webhook_delivery_endpoint"),
            models.Index(
                fields=["endpoint", "next_at"], name="webhook_delivery_due", condition=models.Q(state__in=OPEN)
            ),
            models.Index(
                fields=["lease_until"], name="webhook_delivery_sending", condition=models.Q(lease_until__isnull=False)
            ),
            models.Index(fields=["created_at"], name="webhook_delivery_created"),
        ]

    def __str__(self) -> str:
        return f"{self.event}: {self.state}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN
