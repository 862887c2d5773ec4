"""The operator's sessions at Telegram, and what is known of the channels that sources follow."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from backend.core import sealing
from backend.core.ids import uuid7
from backend.sources.models import Source


class TelegramSession(models.Model):
    """A login of the operator's account. Who has the session can act as that person without code or password: it is
    sealed here, opened where it is used, and never shown.

    Telegram ends a session that is used from two addresses at once, so one reader at a time holds it, under a lease.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.CharField(max_length=100)  # as it may be shown, such as "A… · +49…17"
    sealed = models.TextField()
    revoked_at = models.DateTimeField(null=True)  # when Telegram did not accept it any more
    leaving_at = models.DateTimeField(null=True)  # when an operator asked for it to be logged out; it is used no more
    holder = models.UUIDField(null=True)  # the source that is being read with it
    lease_until = models.DateTimeField(null=True)
    follower = models.UUIDField(null=True)  # the source that has asked for it meanwhile, and has it next
    follower_until = models.DateTimeField(null=True)  # unless it does not come back
    waits = models.JSONField(default=dict)  # request: seconds of the epoch before which Telegram wants not to be asked
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.account

    def opened(self) -> str:
        """Telethon's session string. Raises core.sealing.SealBroken."""
        return sealing.unseal(self.sealed)


class Channel(models.Model):
    """What a source's channel is called at Telegram. `access_hash` is good for the account of `session` only.

    Every post up to `reached` has been read and written once; later runs read again what may have changed.
    """

    source = models.OneToOneField(Source, on_delete=models.CASCADE, primary_key=True, related_name="telegram_channel")
    session = models.ForeignKey(TelegramSession, on_delete=models.SET_NULL, null=True, related_name="+")
    channel_id = models.BigIntegerField(null=True)
    access_hash = models.BigIntegerField(null=True)
    username = models.CharField(max_length=40, blank=True)
    title = models.CharField(max_length=255, blank=True)
    reached = models.PositiveBigIntegerField(default=0)

    objects: ClassVar[models.Manager["Channel"]] = models.Manager()

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return f"@{self.username}" if self.username else self.title or "Telegram channel"

    @property
    def root(self) -> str:
        """What a post's number is appended to; for a channel without a name, the address its members can open."""
        return f"https://t.me/{self.username}" if self.username else f"https://t.me/c/{self.channel_id}"
