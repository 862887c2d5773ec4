from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

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


class Rewriting(models.TextChoices):
    """How a question that follows others comes to stand alone, for the search: not at all, by taking over the words it
    leans on, or by asking the bot's model, which is a second call."""

    NONE = "none"
    WORDS = "words"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Index:
    """Where the vectors of one embedding of one bot are. Generations are numbered and never used again, so vectors of
    two embeddings are never in one namespace, whoever wrote them late."""

    bot_id: UUID
    owner_id: UUID
    embedding: str  # contract.EmbeddingId
    generation: int

    @property
    def pk(self) -> UUID:
        return self.bot_id

    @property
    def namespace(self) -> str:
        """Where the agent keeps it; nothing else is ever stored there."""
        generation = f"-{self.generation}" if self.generation else ""
        return f"{namespace_prefix(self.bot_id)}{generation}"


def namespace_prefix(bot_id: UUID) -> str:
    """What the names of all the bot's namespaces begin with."""
    return f"bot-{bot_id.hex}"


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
    generation = models.PositiveIntegerField(default=0)  # of the index that serves: see `IndexBuild`
    version = models.ForeignKey("BotVersion", on_delete=models.RESTRICT, related_name="+", null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(
        null=True, editable=False
    )  # hidden at once; rows, files and vectors follow by a job
    deleted_by = models.UUIDField(null=True, editable=False)

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
    def index(self) -> Index:
        """What serves, of one reading of the row: embedding and namespace always belong together."""
        return Index(self.pk, self.owner_id, self.embedding, self.generation)

    @property
    def namespace(self) -> str:
        return self.index.namespace


class BotVersion(models.Model):
    """One state of a bot's configuration; never changed, so that any of them can be read back and restored."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    instructions = models.TextField(blank=True)
    agent = models.CharField(max_length=60, default="default")  # id of one of the agent service's agents
    model = models.CharField(max_length=120, blank=True)  # contract.ModelId; empty: the deployment's default
    fallbacks = models.JSONField(default=list)  # contract.ModelId, asked in this order where the model fails
    temperature = models.FloatField(default=0.2)
    greeting = models.CharField(max_length=1000, blank=True)
    suggested_questions = models.JSONField(default=list)
    strictness = models.CharField(max_length=10, choices=Strictness.choices, default=Strictness.STRICT)
    top_k = models.PositiveSmallIntegerField(default=6)
    threshold = models.FloatField(default=0.0)  # passages scored below it are not used
    rewriting = models.CharField(max_length=10, choices=Rewriting.choices, default=Rewriting.WORDS)
    draw_filters = models.BooleanField(default=False)  # dates and titles named in the question narrow the search
    neighbours = models.PositiveSmallIntegerField(default=0)  # passages before and after each that is found
    rerank = models.CharField(max_length=120, blank=True)  # contract.RerankerId; empty: not at all
    diversity = models.FloatField(default=1.0)  # lambda of maximal marginal relevance; 1 only drops repetitions
    follow_ups = models.BooleanField(default=False)  # suggests questions after the answer
    degrade = models.BooleanField(default=False)  # quotes passages, free of charge, while the model cannot answer
    tools = models.JSONField(default=list)  # names of the tools that an agent with steps may use
    step_limit = models.PositiveSmallIntegerField(default=6)
    seconds_limit = models.PositiveSmallIntegerField(default=60)  # of an agent with steps
    credit_limit = models.PositiveIntegerField(null=True)  # of an answer with steps; null: what its ceiling says
    chunk_chars = models.PositiveIntegerField(default=1000)
    chunk_overlap = models.PositiveIntegerField(default=150)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "number"], name="bot_version_number")]

    def __str__(self) -> str:
        return f"version {self.number}"


class BuildState(models.TextChoices):
    BUILDING = "building"
    FAILED = "failed"
    DONE = "done"
    CANCELLED = "cancelled"


UNFINISHED = (BuildState.BUILDING, BuildState.FAILED)


class IndexBuild(models.Model):
    """A new index of a bot, for another embedding, filled beside the one that serves and then put in its place.

    Whoever works on it holds a lease under a fence, as with a document. A failed one keeps what it has, to go on from
    there. `obsolete` is the generation that nobody needs any more (the one that served before, or this one where it was
    cancelled), until its vectors are known to be gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="builds")
    embedding = models.CharField(max_length=120)  # contract.EmbeddingId
    generation = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=BuildState.choices, default=BuildState.BUILDING)
    done = models.PositiveIntegerField(default=0)  # passages
    total = models.PositiveIntegerField(null=True)  # of those that serve; null until they were counted
    sending = models.JSONField(default=list)  # ids of documents whose passages are on their way to the agent

    fence = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)  # not to be worked on before
    failures = models.PositiveSmallIntegerField(default=0)  # passing ones, such as an agent that is not there
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    error_hint = models.CharField(max_length=500, blank=True)

    obsolete = models.PositiveIntegerField(null=True)
    forget_at = models.DateTimeField(null=True)  # not before: somebody may still be reading there

    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bot", "generation"], name="index_build_generation"),
            models.UniqueConstraint(
                fields=["bot"], condition=models.Q(state__in=UNFINISHED), name="index_build_unfinished"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["state", "lease_until"], name="index_build_due", condition=models.Q(state=BuildState.BUILDING)
            ),
            models.Index(fields=["forget_at"], name="index_build_obsolete", condition=models.Q(obsolete__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"index {self.generation}"

    @property
    def index(self) -> Index:
        """What is being built."""
        return Index(self.bot_id, self.bot.owner_id, self.embedding, self.generation)
