from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now, Substr

from backend.bots.models import Bot, BotVersion, Visibility
from backend.core.ids import uuid7
from backend.documents.models import DocumentVersion, State
from backend.users.models import User


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, user: User | AnonymousUser) -> "ConversationQuerySet":
        """The user's own, also with a bot that has gone private since: what was said can still be read."""
        return self.filter(models.Q(user_id=user.pk), bot__deleted_at=None)


class Conversation(models.Model):
    """One person's talk with one bot."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = ConversationQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["user", "-id"], name="conversation_user")]

    def __str__(self) -> str:
        return self.title or str(self.pk)

    @property
    def can_ask(self) -> bool:
        """Whether the bot still answers this user."""
        bot = self.bot
        return bot.owner.is_active and (bot.owner_id == self.user_id or bot.visibility != Visibility.PRIVATE)


class MessageQuerySet(models.QuerySet["Message"]):
    def of(self, user: User | AnonymousUser) -> "MessageQuerySet":
        return self.filter(models.Q(user_id=user.pk), conversation__bot__deleted_at=None)


class Message(models.Model):
    """What the user said. Its answers follow, one for each time it was (re)generated; the newest counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = MessageQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["conversation", "-id"], name="message_conversation")]

    def __str__(self) -> str:
        return self.text[:60]


class AnswerState(models.TextChoices):
    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class AnswerQuerySet(models.QuerySet["Answer"]):
    def of(self, user: User | AnonymousUser) -> "AnswerQuerySet":
        return self.filter(models.Q(user_id=user.pk), conversation__bot__deleted_at=None)

    def with_citations(self) -> "AnswerQuerySet":
        return self.prefetch_related(models.Prefetch("citations", Citation.objects.quoted()))


class Answer(models.Model):
    """One turn of the bot; the row is the truth about it.

    `streaming` with a lease that its owner, a server process, renews by the database's clock; whoever moves it out of
    `streaming` settles its hold in the same transaction, so it is settled exactly once.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="answers")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="answers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    bot_version = models.ForeignKey(BotVersion, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=AnswerState.choices, default=AnswerState.STREAMING)
    text = models.TextField(blank=True)
    model = models.CharField(max_length=120)
    finish_reason = models.CharField(max_length=20, blank=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    usage_estimated = models.BooleanField(default=False)
    charged = models.PositiveBigIntegerField(null=True)  # credits; null until settled
    citations_rejected = models.PositiveIntegerField(default=0)
    curated = models.BooleanField(default=False)  # the owner's own words, given without asking a model
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    error_status = models.PositiveSmallIntegerField(null=True)
    error_retryable = models.BooleanField(default=False)
    stop_requested = models.BooleanField(default=False)
    lease_until = models.DateTimeField()
    idempotency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null so that many have none
    fingerprint = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = AnswerQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["conversation"], condition=models.Q(state="streaming"), name="answer_one_streaming"
            ),
            models.UniqueConstraint(fields=["user", "idempotency_key"], name="answer_idempotency_key"),
            models.CheckConstraint(
                condition=models.Q(state="streaming", charged=None)
                | ~models.Q(state="streaming") & ~models.Q(charged=None),
                name="answer_ended_is_settled",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["message", "-id"], name="answer_message"),
            models.Index(fields=["conversation", "-id"], name="answer_conversation"),
            models.Index(fields=["lease_until"], name="answer_lease", condition=models.Q(state="streaming")),
        ]

    def __str__(self) -> str:
        return f"{self.state}: {self.text[:60]}"


class CitationQuerySet(models.QuerySet["Citation"]):
    def quoted(self) -> "CitationQuerySet":
        """Adds `quote`, cut out of the stored page, that page's own `label`, `link`, `author` and `dated`, and what
        names the document. All are null once the document is gone."""
        length = models.F("end") - models.F("start")
        return (
            self.select_related("version__document")
            .annotate(
                cited=models.FilteredRelation(
                    "version__pages", condition=models.Q(version__pages__number=models.F("page"))
                )
            )
            .annotate(
                quote=_while_there(Substr("cited__text", models.F("start") + 1, length)),
                **{name: _while_there(models.F(f"cited__{name}")) for name in ("label", "link", "author", "dated")},
            )
        )

    def opened(self) -> "CitationQuerySet":
        """Adds `page_text` as well."""
        return self.quoted().annotate(page_text=_while_there(models.F("cited__text")))


def _while_there(shown: Any) -> models.Case:
    """Nothing of a document that is being deleted."""
    return models.Case(models.When(version__document__state=State.DELETING, then=models.Value(None)), default=shown)


def forget_source(collector: Any, field: Any, citations: Any, using: str) -> None:
    """What a citation loses with its document: every word of it."""
    models.SET_NULL(collector, field, citations, using)
    heading = Citation._meta.get_field("heading")  # noqa: SLF001 - the name of a public interface
    collector.add_field_update(heading, "", citations)


class Citation(models.Model):
    """Where a marker `[n]` points: characters `start` to `end` of a page of a pinned version.

    The quote itself is not kept: it is read from the stored page, so it can neither differ from it nor outlive it.
    `version` is null once the document was deleted.
    """

    answer = models.ForeignKey(Answer, on_delete=models.CASCADE, related_name="citations")
    marker = models.PositiveSmallIntegerField()
    version = models.ForeignKey(DocumentVersion, on_delete=forget_source, null=True, related_name="+")
    page = models.PositiveIntegerField()
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    heading = models.CharField(max_length=300, blank=True)  # what the passage stood under
    score = models.FloatField()

    objects: ClassVar[Any] = CitationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["marker", "pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["answer", "marker"], name="citation_marker")]

    def __str__(self) -> str:
        return f"[{self.marker}] p. {self.page}"
