"""What those who asked think of the answers, and with it the only words of theirs that a bot's owner gets to see."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.conversations.models import Answer
from backend.core.ids import uuid7
from backend.users.models import User

COMMENT_CHARS = 2_000


class Rating(models.TextChoices):
    UP = "up"
    DOWN = "down"


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def of(self, user: User | AnonymousUser) -> "FeedbackQuerySet":
        """What `user` gave."""
        return self.filter(answer__in=Answer.objects.of(user))

    def about(self, bot: Bot) -> "FeedbackQuerySet":
        """What the bot's owner gets to see; nothing of an account that is being erased."""
        return self.filter(bot=bot, user__deleted_at=None)


class Feedback(models.Model):
    """A thumb and a comment for one answer, by the person who asked. It goes with its answer and with its person."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    answer = models.OneToOneField(Answer, on_delete=models.CASCADE, related_name="feedback")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # null where the question was put to several bots: then no owner reads it
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="+", null=True, db_index=False)
    rating = models.CharField(max_length=4, choices=Rating.choices)
    comment = models.CharField(max_length=COMMENT_CHARS, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = FeedbackQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "feedback"
        indexes: ClassVar = [models.Index(fields=["bot", "-id"], name="feedback_bot")]

    def __str__(self) -> str:
        return f"thumb {self.rating}"
