"""Tools that a bot's owner has declared: an address to ask, or a server of tools."""

from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.core.ids import uuid7
from backend.users.models import User


class ToolKind(models.TextChoices):
    HTTP = "http"
    MCP = "mcp"


class Method(models.TextChoices):
    GET = "GET"
    POST = "POST"


class ToolQuerySet(models.QuerySet["Tool"]):
    def owned_by(self, user: User | AnonymousUser) -> "ToolQuerySet":
        return self.filter(bot__owner_id=user.pk, bot__owner__is_active=True, bot__deleted_at=None)

    def callable_of(self, bot: Bot) -> "ToolQuerySet":
        """Switched on and, where it is a server, approved."""
        return self.filter(bot=bot, enabled=True).exclude(kind=ToolKind.MCP, approved_sha256="")


class Tool(models.Model):
    """`http`: `url` with `{name}` in its path or query for parameters; what has no place there goes into the query, or
    into the body as JSON. `mcp`: the server's address; `approved` are those of its tools that the owner has seen, as
    they were then, and `approved_sha256` names that list.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="tools")
    kind = models.CharField(max_length=10, choices=ToolKind.choices)
    name = models.CharField(max_length=40)
    description = models.CharField(max_length=1000, blank=True)
    method = models.CharField(max_length=4, choices=Method.choices, default=Method.GET)
    url = models.CharField(max_length=2000)
    parameters = models.JSONField(default=dict)
    headers = models.TextField(blank=True)  # JSON, sealed
    approved = models.JSONField(default=list)
    approved_sha256 = models.CharField(max_length=64, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[Any] = ToolQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "name"], name="tool_name")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"
