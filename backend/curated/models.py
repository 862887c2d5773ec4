"""Questions that a bot's owner has answered in their own words.

The pairs are the truth: a question put to the bot is compared with them. A document of the bot says the same, so that
the pairs can also be found by meaning and cited; it follows the pairs (see `publishing`), and they go when it goes.
"""

from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from backend.core.ids import uuid7
from backend.curated.phrasing import CHARS
from backend.documents import questions
from backend.documents.models import Document, State
from backend.users.models import User

ANSWER_CHARS = 4_000


class BookQuerySet(models.QuerySet["Book"]):
    def live(self) -> "BookQuerySet":
        return self.exclude(document__state=State.DELETING)


class Book(models.Model):
    """A bot's pairs. `revision` counts their changes, `published` is the one that the document says."""

    document = models.OneToOneField(Document, on_delete=models.CASCADE, primary_key=True, related_name="book")
    last_number = models.PositiveIntegerField(default=0)
    revision = models.PositiveIntegerField(default=0)
    published = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = BookQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["updated_at"],
                name="curated_book_unpublished",
                condition=models.Q(published__lt=models.F("revision")),
            )
        ]

    def __str__(self) -> str:
        return str(self.document_id)


class PairQuerySet(models.QuerySet["Pair"]):
    def owned_by(self, user: User | AnonymousUser) -> "PairQuerySet":
        documents = Document.objects.owned_by(user)
        return self.filter(book__document__in=documents)

    def saying(self) -> "PairQuerySet":
        """Those that answer at this moment."""
        document = models.Q(book__document__enabled=True) & ~models.Q(book__document__state=State.DELETING)
        return self.filter(document, enabled=True)


class Pair(models.Model):
    """An answer and the questions that it answers. `number` is never given to another one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="pairs", db_index=False)
    number = models.PositiveIntegerField()
    answer = models.CharField(max_length=ANSWER_CHARS)
    link = models.CharField(max_length=2000, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = PairQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["book", "number"], name="curated_pair_number")]
        indexes: ClassVar = [models.Index(fields=["book", "-id"], name="curated_pair_book")]

    def __str__(self) -> str:
        return f"Question {self.number}"

    def written(self) -> questions.Pair:
        """As the document has it."""
        asked = [phrasing.text for phrasing in self.phrasings.all()]
        return questions.Pair(self.number, asked, self.answer, self.link)


class Phrasing(models.Model):
    """One way of asking. `key` is the same for two that are the same question (`phrasing.key_of`)."""

    pair = models.ForeignKey(Pair, on_delete=models.CASCADE, related_name="phrasings")
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="+", db_index=False)
    text = models.CharField(max_length=CHARS)
    key = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["book", "key"], name="curated_phrasing_key")]
        indexes: ClassVar = [models.Index(fields=["key"], name="curated_phrasing_by_key")]

    def __str__(self) -> str:
        return self.text
