"""Links that open a conversation to whoever has them: certain turns of it, for as long as they may be seen."""

from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from backend.bots.models import Visibility
from backend.conversations.models import Answer, Conversation
from backend.core.ids import uuid7
from backend.users.models import User


class ShareQuerySet(models.QuerySet["Share"]):
    def of(self, user: User | AnonymousUser) -> "ShareQuerySet":
        return self.filter(conversation__in=Conversation.objects.of(user))

    def live(self) -> "ShareQuerySet":
        """The links that open: of somebody who may use the bot themselves at this moment."""
        theirs = Q(conversation__bot__owner=F("conversation__user"))
        open_to_them = theirs | ~Q(conversation__bot__visibility=Visibility.PRIVATE)
        bot = Q(conversation__bot__deleted_at=None, conversation__bot__owner__is_active=True) & open_to_them
        return self.filter(Q(conversation__bot=None) | bot, conversation__user__is_active=True)


class Share(models.Model):
    """One link. What it shows is pinned in its turns; what it is called stays what it was called then."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="shares", db_index=False)
    title = models.CharField(max_length=200, blank=True)
    hash = models.CharField(max_length=64, unique=True)  # sha256 (hex); the token itself is stored nowhere
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = ShareQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["conversation", "-id"], name="share_conversation")]

    def __str__(self) -> str:
        return "a shared conversation"


class SharedTurn(models.Model):
    """One answer, with its question."""

    share = models.ForeignKey(Share, on_delete=models.CASCADE, related_name="turns", db_index=False)
    answer = models.ForeignKey(Answer, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["share", "position"], name="shared_turn_position")]

    def __str__(self) -> str:
        return f"{self.position}: {self.answer_id}"
