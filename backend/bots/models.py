from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from backend.core.ids import uuid7
from backend.users.models import User


class Visibility(models.TextChoices):
    PRIVATE = "private"
    UNLISTED = "unlisted"
    PUBLIC = "public"


class Strictness(models.TextChoices):
    STRICT = "strict"
    PREFER = "prefer"
    FREE = "free"


class BotQuerySet(models.QuerySet["Bot"]):
    def live(self) -> "BotQuerySet":
        return self.filter(deleted_at=None, owner__is_active=True)

    def owned_by(self, user: User | AnonymousUser) -> "BotQuerySet":
        """What `user` may change."""
        return self.live().filter(owner_id=user.pk)

    def listed_for(self, user: User | AnonymousUser) -> "BotQuerySet":
        """What a list shows `user`: their own and the public ones."""
        return self.live().filter(models.Q(owner_id=user.pk) | models.Q(visibility=Visibility.PUBLIC))

    def usable_by(self, user: User | AnonymousUser) -> "BotQuerySet":
        """What `user` may open and chat with, given its id: also the unlisted ones, whose id is the secret."""
        return self.live().filter(
            models.Q(owner_id=user.pk) | models.Q(visibility__in=[Visibility.PUBLIC, Visibility.UNLISTED])
        )


class Bot(models.Model):
    """A chatbot over its owner's documents. How it answers stands in its newest `BotVersion`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="bots")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=1000, blank=True)
    visibility = models.CharField(max_length=10, choices=Visibility.choices, default=Visibility.PRIVATE)
    # contract.EmbeddingId of every vector in the namespace; empty until the first document or question settles it
    embedding = models.CharField(max_length=120, blank=True)
    version = models.ForeignKey("BotVersion", on_delete=models.RESTRICT, related_name="+", null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(
        null=True, editable=False
    )  # hidden at once; rows, files and vectors follow by a job

    objects: ClassVar[Any] = BotQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["owner", "-id"], name="bot_owner"),
            models.Index(fields=["-id"], name="bot_public", condition=models.Q(visibility="public", deleted_at=None)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def configuration(self) -> "BotVersion":
        """How it answers now."""
        assert self.version is not None  # noqa: S101 - a bot is made with its first version, in one transaction
        return self.version

    @property
    def namespace(self) -> str:
        """Where the agent keeps this bot's vectors; nothing else is ever stored there."""
        return f"bot-{self.pk.hex}"


class BotVersion(models.Model):
    """One state of a bot's configuration; never changed, so that any of them can be read back and restored."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    instructions = models.TextField(blank=True)
    model = models.CharField(max_length=120, blank=True)  # contract.ModelId; empty: the deployment's default
    temperature = models.FloatField(default=0.2)
    greeting = models.CharField(max_length=1000, blank=True)
    suggested_questions = models.JSONField(default=list)
    strictness = models.CharField(max_length=10, choices=Strictness.choices, default=Strictness.STRICT)
    top_k = models.PositiveSmallIntegerField(default=6)
    threshold = models.FloatField(default=0.0)  # passages scored below it are not used
    chunk_chars = models.PositiveIntegerField(default=1000)
    chunk_overlap = models.PositiveIntegerField(default=150)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "number"], name="bot_version_number")]

    def __str__(self) -> str:
        return f"{self.bot_id}@{self.number}"
