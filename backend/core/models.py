from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class IdempotencyRecord(models.Model):
    """The first answer to a request that carried an Idempotency-Key, kept to be replayed.

    Written in the transaction of the effect itself, so it exists exactly when the effect does.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)  # sha256 of method, path and body
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_user_key")]

    def __str__(self) -> str:
        return f"{self.user_id}:{self.key}"


class RateCounter(models.Model):
    """How often something happened in one fixed window; shared by all processes because it lives in the database."""

    scope = models.CharField(max_length=40)
    ident = models.CharField(max_length=64)  # sha256 of what is limited: no address or e-mail is stored
    window = models.DateTimeField(db_index=True)
    count = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "ident", "window"], name="rate_counter_window")
        ]

    def __str__(self) -> str:
        return f"{self.scope}:{self.ident}"
