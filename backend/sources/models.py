"""Where documents come from when nobody uploads them: a web page, a site, a channel, read again and again.

`Source` is the truth about a sync as `Document` is about an ingestion: its state, who holds it and until when. What a
source offers is an `Item` each, which remembers what it was when it was last seen, and its document.
"""

from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.core.ids import uuid7
from backend.documents.models import Document
from backend.users.models import User

EXTERNAL_ID_CHARS = 2000


class SourceState(models.TextChoices):
    IDLE = "idle"
    QUEUED = "queued"
    SYNCING = "syncing"
    FAILED = "failed"  # the last run ended before the place was read; the next begins as after any other
    DELETING = "deleting"


AT_REST = (SourceState.IDLE, SourceState.FAILED)


class Extent(models.TextChoices):
    """What a run is to read."""

    USUAL = "usual"
    PENDING = "pending"  # only the items that are to be tried again
    FULL = "full"  # everything anew, also what the place says has not changed


class SourceQuerySet(models.QuerySet["Source"]):
    def live(self) -> "SourceQuerySet":
        return self.exclude(state=SourceState.DELETING).filter(bot__deleted_at=None, bot__owner__is_active=True)

    def owned_by(self, user: User | AnonymousUser) -> "SourceQuerySet":
        return self.live().filter(bot__owner_id=user.pk)


class Source(models.Model):
    """A place whose documents a bot keeps up with.

    A run is one reading of the whole place. `cursor` is how far it has come, null between two runs: a run whose worker
    died, whose place asked for patience, or that was paused goes on from there. Whoever syncs holds a lease under a
    fence, as with documents.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="sources")
    kind = models.CharField(max_length=20)  # of a connector, see `connectors`
    title = models.CharField(max_length=300)
    link = models.CharField(max_length=2000, blank=True)
    identity = models.CharField(max_length=64)  # sha256 of what the connector says tells this place from another
    configuration = models.JSONField()  # as the connector has prepared it
    enabled = models.BooleanField(default=True)  # switched off, its documents answer nothing
    paused = models.BooleanField(default=False)
    every_minutes = models.PositiveIntegerField(null=True)  # null: by hand only
    next_sync_at = models.DateTimeField(null=True)

    state = models.CharField(max_length=10, choices=SourceState.choices, default=SourceState.QUEUED)
    run = models.PositiveIntegerField(default=0)  # the number of the run under way, or of the last
    cursor = models.JSONField(null=True)
    extent = models.CharField(max_length=10, choices=Extent.choices, default=Extent.USUAL)  # of that run
    counts = models.JSONField(default=dict)  # of this run, or of the last: changed, unchanged, failed …
    started_at = models.DateTimeField(null=True)
    synced_at = models.DateTimeField(null=True)  # when a run came to its end without an error of the whole
    fence = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)  # not to be worked on before
    failures = models.PositiveSmallIntegerField(default=0)  # passing ones, in a row
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    error_hint = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = SourceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bot", "kind", "identity"], condition=~models.Q(state=SourceState.DELETING), name="source_place"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["bot", "-id"], name="source_bot"),
            models.Index(
                fields=["state", "lease_until"],
                name="source_unfinished",
                condition=~models.Q(state__in=AT_REST),
            ),
            models.Index(
                fields=["next_sync_at"],
                name="source_due",
                condition=models.Q(state__in=AT_REST, paused=False, next_sync_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class ItemState(models.TextChoices):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"  # left out for a reason that is nobody's fault: its content is another document's, for one
    PENDING = "pending"  # its owner wants it tried again
    DISMISSED = "dismissed"  # failed, and its owner does not want to hear of it


class Item(models.Model):
    """One thing a source offers: a page of a site, a run of posts. Its document stays while later readings fail.

    One that has content and no document was deleted by the bot's owner, and is left out until they ask for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="items")
    external_id = models.CharField(max_length=EXTERNAL_ID_CHARS)  # what the place calls it
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True, related_name="items")
    title = models.CharField(max_length=300, blank=True)
    link = models.CharField(max_length=2000, blank=True)
    state = models.CharField(max_length=10, choices=ItemState.choices, default=ItemState.OK)
    sha256 = models.CharField(max_length=64, blank=True)  # of the content its document was made from
    validators = models.JSONField(default=dict)  # what its connector wants to know next time, such as an ETag
    run = models.PositiveIntegerField(default=0)  # in which it was last seen, or known to be there
    missing = models.PositiveSmallIntegerField(default=0)  # runs in a row in which the place said it is gone
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    error_hint = models.CharField(max_length=500, blank=True)
    checked_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "external_id"], name="item_of_source")]
        indexes: ClassVar = [models.Index(fields=["source", "state", "-id"], name="item_state")]

    def __str__(self) -> str:
        return self.external_id

    @property
    def left_out(self) -> bool:
        return bool(self.sha256) and self.document_id is None


class Host(models.Model):
    """When a web server may next be asked, by whatever worker: a polite pause counts for all of them together."""

    name = models.CharField(max_length=260, primary_key=True)
    free_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.name
