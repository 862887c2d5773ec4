"""Documents and what was read from them.

`Document` is the truth about a piece of work: its state, who holds it and until when. Text hangs below a
`DocumentVersion`, and a new version is built beside the one that serves.
"""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.core.ids import uuid7
from backend.users.models import User


class Kind(models.TextChoices):
    FILE = "file"
    TEXT = "text"
    QUESTIONS = "questions"
    WEB = "web"
    TELEGRAM = "telegram"


class State(models.TextChoices):
    QUEUED = "queued"
    PROCESSING = "processing"
    WAITING = "waiting"  # read, and waiting for the owner's go before anything is embedded
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETING = "deleting"


class Stage(models.TextChoices):
    NONE = ""
    EXTRACTING = "extracting"
    CHUNKING = "chunking"
    EMBEDDING = "embedding"


class DocumentQuerySet(models.QuerySet["Document"]):
    def live(self) -> "DocumentQuerySet":
        return self.exclude(state=State.DELETING).filter(bot__deleted_at=None, bot__owner__is_active=True)

    def owned_by(self, user: User | AnonymousUser) -> "DocumentQuerySet":
        return self.live().filter(bot__owner_id=user.pk)


class Document(models.Model):
    """A file, a text, a web page or a run of posts in a bot's knowledge.

    `version` is what answers are made from; it stays while a newer one is built, and when that fails. Whoever works
    on the document holds a lease under a fence: a write under an older fence has no effect (see `claims`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # PROTECT: a cascade would leave file and vectors behind; `erasure` takes them in the right order.
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="documents")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    title = models.CharField(max_length=300)
    filename = models.CharField(max_length=255, blank=True)  # as the user named it; never a path of ours
    format = models.CharField(max_length=20)  # a name in `formats.FORMATS`
    media_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    file = models.CharField(max_length=100)  # the storage's key, made by us
    link = models.CharField(max_length=2000, blank=True)  # where it came from, for whoever follows a citation
    enabled = models.BooleanField(default=True)  # one that is switched off is kept, and answers nothing
    review = models.BooleanField(default=False)  # nothing is embedded before the owner has seen the report

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.NONE, blank=True)
    pages_done = models.PositiveIntegerField(default=0)
    pages_total = models.PositiveIntegerField(null=True)
    chunks_done = models.PositiveIntegerField(default=0)
    chunks_total = models.PositiveIntegerField(null=True)

    fence = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)  # not to be worked on before
    attempt = models.PositiveIntegerField(default=0)  # how often it was taken up since it was last queued by a person
    parser_crashes = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)  # passing ones, such as an agent that is not there
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    error_hint = models.CharField(max_length=500, blank=True)

    version = models.ForeignKey("DocumentVersion", on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = DocumentQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bot", "sha256"], condition=~models.Q(state=State.DELETING), name="document_content"
            ),
            models.CheckConstraint(
                condition=~models.Q(state=State.READY) | models.Q(version__isnull=False), name="document_ready_serves"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["bot", "-id"], name="document_bot"),
            models.Index(
                fields=["state", "lease_until"],
                name="document_unfinished",
                condition=models.Q(state__in=[State.QUEUED, State.PROCESSING, State.DELETING]),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class VersionState(models.TextChoices):
    BUILDING = "building"
    READY = "ready"
    RETIRED = "retired"


class DocumentVersion(models.Model):
    """One reading of a document, with what it was made by: vectors of two readings are never mixed.

    A row exists once its pages and chunks do, all written in one transaction. A retired version keeps its pages, so
    that old citations open the text they were made from, and its chunks until their vectors are known to be gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=VersionState.choices, default=VersionState.BUILDING)
    sha256 = models.CharField(max_length=64)  # of the content that was read
    embedding = models.CharField(max_length=120)  # contract.EmbeddingId
    generation = models.PositiveIntegerField(default=0)  # of the bot's index that its vectors are in
    chunk_chars = models.PositiveIntegerField()
    chunk_overlap = models.PositiveIntegerField()
    chunker_version = models.PositiveSmallIntegerField()
    normaliser_version = models.PositiveSmallIntegerField()
    page_count = models.PositiveIntegerField()
    char_count = models.PositiveIntegerField()
    chunk_count = models.PositiveIntegerField()
    report = models.JSONField(default=dict)  # see `reports`
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "number"], name="document_version_number"),
            models.UniqueConstraint(
                fields=["document"], condition=models.Q(state=VersionState.BUILDING), name="document_version_building"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["document"], condition=models.Q(state=VersionState.RETIRED), name="document_version_retired"
            ),
            models.Index(KT("report__text_sha256"), name="document_version_text"),  # the same text, told in `reports`
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class Page(models.Model):
    """What a citation opens: a page, a slide, rows of a sheet, a chapter, a post; elsewhere a section of bounded
    length. `label` says which; `link`, `author` and `dated` where it has its own."""

    version = models.ForeignKey(DocumentVersion, on_delete=models.CASCADE, related_name="pages", db_index=False)
    number = models.PositiveIntegerField()
    label = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    link = models.CharField(max_length=2000, blank=True)
    author = models.CharField(max_length=200, blank=True)
    dated = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["version", "number"], name="page_number")]

    def __str__(self) -> str:
        return self.label


class Chunk(models.Model):
    """A passage: `text` is characters `start` to `end` of its page's text, and lies in one page."""

    id = models.UUIDField(primary_key=True, editable=False)
    version = models.ForeignKey(DocumentVersion, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks")
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()
    page = models.PositiveIntegerField()
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    text = models.TextField()
    heading = models.CharField(max_length=300, blank=True)  # the headings it stands under, outermost first
    embedded = models.BooleanField(default=False)
    rebuilt = models.PositiveIntegerField(null=True)  # generation of the index build that has stored it as well
    enabled = models.BooleanField(default=True)
    # What changed it: set on the passage that was read, and on the one in its place, on a page after those of the file.
    correction = models.ForeignKey(
        "Correction", on_delete=models.SET_NULL, null=True, related_name="chunks", db_index=False
    )

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["version", "position"], name="chunk_position")]
        indexes: ClassVar = [
            models.Index(fields=["correction"], condition=models.Q(correction__isnull=False), name="chunk_correction"),
        ]

    def __str__(self) -> str:
        return f"passage {self.position}"


class Correction(models.Model):
    """What an owner changed in a passage, found again by the passage's own text whenever the document is read anew.

    `text` is what stands in its place; null where the passage is only switched off.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="corrections")
    original_sha256 = models.CharField(max_length=64)  # of the passage as it was read
    original = models.TextField()
    text = models.TextField(null=True)  # noqa: DJ001 - null is not the empty text
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "original_sha256"], name="correction_of_passage")
        ]

    def __str__(self) -> str:
        return self.original[:60]


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def owned_by(self, user: User | AnonymousUser) -> "ErasureQuerySet":
        return self.none() if user.pk is None else self.filter(owner_id=user.pk)


class Erasure(models.Model):
    """That something was deleted, by whom, and what was read back as gone; it names nothing of the content."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject = models.CharField(max_length=20)  # document, bot or account
    subject_id = models.UUIDField()
    owner_id = models.UUIDField()
    requested_by = models.UUIDField(null=True)
    requested_at = models.DateTimeField(db_default=Now())
    erased_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)  # pages, chunks, files, vectors deleted; vectors remaining as read back

    objects: ClassVar[Any] = ErasureQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["subject", "subject_id"], name="erasure_subject")]
        indexes: ClassVar = [models.Index(fields=["owner_id", "-id"], name="erasure_owner")]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}"


class Turn(models.Model):
    """When documents of an owner were last taken up: of those who have as little in work, whoever waited longest is
    next."""

    owner = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="+")
    taken_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.owner_id)


def chunk_id(version_id: uuid.UUID, position: int) -> uuid.UUID:
    """The same chunk gets the same id in every repeat, which is what makes a repeat harmless."""
    return uuid.uuid5(version_id, str(position))
