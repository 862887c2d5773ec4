from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now, Substr
from django.utils.functional import cached_property

from backend.bots.models import Bot, BotVersion, Visibility
from backend.core.ids import uuid7
from backend.credits.models import Entry
from backend.documents.models import DocumentVersion, State
from backend.users.models import User


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, user: User | AnonymousUser) -> "ConversationQuerySet":
        """The user's own, also with a bot that has gone private since: what was said can still be read."""
        return self.filter(models.Q(user_id=user.pk), bot__deleted_at=None)


class Origin(models.TextChoices):
    """Which way a conversation came in. All but the first are made by programs, one for each exchange."""

    CHAT = "chat"
    OPENAI = "openai"
    MCP = "mcp"
    SEARCH = "search"
    GATEWAY = "gateway"


class Conversation(models.Model):
    """One person's talk with one bot; where `bot` is null, with all the bots they may see or with a bare model.

    `before` is what a program says was said before its question: the conversation's turns follow it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, null=True, related_name="conversations")
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.CHAT)
    title = models.CharField(max_length=200, blank=True)
    before = models.JSONField(default=list)  # contract.Turn each, oldest first
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = ConversationQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["user", "origin", "-id"], name="conversation_user_origin")]

    def __str__(self) -> str:
        return self.title or str(self.pk)

    @property
    def can_ask(self) -> bool:
        """Whether the bot still answers this user."""
        bot = self.bot
        if bot is None:
            return True
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


class MessageImageQuerySet(models.QuerySet["MessageImage"]):
    def of(self, user: User | AnonymousUser) -> "MessageImageQuerySet":
        return self.filter(message__in=Message.objects.of(user))


class MessageImage(models.Model):
    """A picture that belongs to a message; it goes with it."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="images")
    position = models.PositiveSmallIntegerField()
    media_type = models.CharField(max_length=20)
    data = models.BinaryField()

    objects: ClassVar[Any] = MessageImageQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["message", "position"], name="message_image_position")]

    def __str__(self) -> str:
        return f"{self.media_type} {self.position}"


class AnswerState(models.TextChoices):
    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class AnswerQuerySet(models.QuerySet["Answer"]):
    def of(self, user: User | AnonymousUser) -> "AnswerQuerySet":
        return self.filter(models.Q(user_id=user.pk), conversation__bot__deleted_at=None)

    def with_citations(self) -> "AnswerQuerySet":
        """And with the steps that were taken to it."""
        return self.prefetch_related(models.Prefetch("citations", Citation.objects.quoted()), "steps")


class Answer(models.Model):
    """One turn of the bot; the row is the truth about it.

    `streaming` with a lease that its owner, a server process, renews by the database's clock; whoever moves it out of
    `streaming` settles its hold in the same transaction, so it is settled exactly once.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="answers")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="answers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    bot_version = models.ForeignKey(BotVersion, on_delete=models.CASCADE, null=True, related_name="+")
    replay_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, db_index=False, related_name="replays")
    same_prompt = models.BooleanField(null=True)  # whether a replay gave the model, to the letter, what the first had
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
    degraded = models.BooleanField(default=False)  # quoted passages, in place of a model that could not answer
    answered_by = models.CharField(max_length=120, blank=True)  # the model that did, which may be a fallback
    support = models.JSONField(default=list)  # of each sentence: start, end, claim, supported, score, markers, evidence
    follow_ups = models.JSONField(default=list)  # suggested questions
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
            models.Index(fields=["replay_of"], name="answer_replay_of", condition=~models.Q(replay_of=None)),
            models.Index(
                fields=["bot_version", "-id"],
                name="answer_unanswered",
                condition=models.Q(state="failed")
                | models.Q(finish_reason__in=["not_found", "safety"])
                | models.Q(degraded=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.state}"


class ReceiptQuerySet(models.QuerySet["Receipt"]):
    def of(self, user: User | AnonymousUser) -> "ReceiptQuerySet":
        """Of the answers that were given to the user."""
        return self.filter(answer__in=Answer.objects.of(user)).select_related("answer")

    def of_bots_of(self, user: User | AnonymousUser) -> "ReceiptQuerySet":
        """Of the answers that the user's own bots gave, to whomever: for lists that show what their askers sent in."""
        bots = Bot.objects.owned_by(user)
        return self.filter(answer__conversation__bot__in=bots).select_related("answer")


class Receipt(models.Model):
    """What an answer was made from and how, in ids and numbers: no word of a document is kept here."""

    answer = models.OneToOneField(Answer, on_delete=models.CASCADE, primary_key=True, related_name="receipt")
    query = models.TextField(blank=True)  # what was searched, where that is not the question as it was asked
    prompt_sha256 = models.CharField(max_length=64, blank=True)
    parameters = models.JSONField(default=dict)
    passages = models.JSONField(default=list)  # rank, chunk, document, version, page, start, end, score
    checks = models.JSONField(default=dict)  # how many citations and sentences stood, and how many did not
    timings = models.JSONField(default=dict)  # milliseconds of each stage

    objects: ClassVar[Any] = ReceiptQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.answer_id)

    @cached_property
    def entries(self) -> list[Entry]:
        """Of the asker's ledger, with their prices: the hold, then its settlement."""
        mine = Entry.objects.of(self.answer.user).select_related("price")
        holds = list(mine.filter(kind="hold", reference=self.answer_id))
        return [*holds, *mine.filter(kind="settle", hold__in=holds)]


class Step(models.Model):
    """One step of an answer that took several: a tool asked and what it said."""

    answer = models.ForeignKey(Answer, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField()
    tool = models.CharField(max_length=60)
    arguments = models.JSONField(default=dict)
    result = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    milliseconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["answer", "number"], name="step_number")]

    def __str__(self) -> str:
        return f"{self.number}: {self.tool}"


class CitationQuerySet(models.QuerySet["Citation"]):
    def quoted(self) -> "CitationQuerySet":
        """Adds `quote`, cut out of the stored page, that page's own `label`, `link`, `author` and `dated`, and what
        names the document and its bot. All are null once the document is gone."""
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
                **{
                    f"bot_{name}": models.F(f"version__document__bot__{name}")
                    for name in ("name", "visibility", "owner")
                },
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

    @property
    def bot(self) -> dict[str, Any] | None:
        """Of one that is `quoted`: whose document it is. A bot that has gone private since is not named to others."""
        cited: Any = self
        if cited.bot_owner is None:
            return None
        named = cited.bot_owner == self.answer.user_id or cited.bot_visibility != Visibility.PRIVATE
        return {"id": cited.version.document.bot_id, "name": cited.bot_name if named else None}
