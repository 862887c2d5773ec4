"""What a bot's owner does with declared tools."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from backend import fetching
from backend.bots.models import Bot
from backend.core.throttling import Limit, hit
from backend.credits import plans
from backend.tools import builtin, http_tool, mcp_tool, secrets
from backend.tools.errors import ToolInvalid, ToolListChanged, ToolNameTaken, TooManyTools
from backend.tools.models import Tool, ToolKind
from backend.tools.schemas import checked

MOST_TOOLS = 20
TRIALS_PER_HOUR = 60
"""Of one owner: looking at a server and trying a tool both ask an address outside."""


@dataclass(frozen=True, slots=True)
class Tried:
    content: str
    milliseconds: int


def create_tool(*, bot: Bot, **fields: Any) -> Tool:
    """Raises ToolInvalid, ToolNameTaken, TooManyTools, FetchFailed. Nobody is asked yet."""
    if fields["name"] in builtin.SPECS:
        raise ToolNameTaken
    headers = secrets.sealed(fields.pop("headers", {}))
    tool = Tool(bot=bot, headers=headers, **fields)
    _complete(tool)
    try:
        with transaction.atomic():
            plans.one_at_a_time(bot.owner_id)
            if Tool.objects.filter(bot=bot).count() >= MOST_TOOLS:
                raise TooManyTools(details={"limit": MOST_TOOLS})
            tool.save(force_insert=True)
    except IntegrityError as exc:
        raise ToolNameTaken from exc
    tool.refresh_from_db(fields=["created_at", "updated_at"])
    return tool


def change_tool(*, tool: Tool, changes: Mapping[str, Any]) -> Tool:
    """Where a server's address changes, what was approved there no longer is. Raises as `create_tool`."""
    fields = dict(changes)
    if "headers" in fields:
        fields["headers"] = secrets.sealed(fields["headers"])
    moved = tool.kind == ToolKind.MCP and fields.get("url", tool.url) != tool.url
    for name, value in fields.items():
        setattr(tool, name, value)
    if moved:
        tool.approved, tool.approved_sha256 = [], ""
        fields |= {"approved": [], "approved_sha256": ""}
    _complete(tool)
    tool.save(update_fields=[*fields, "parameters"])
    Tool.objects.filter(pk=tool.pk).update(updated_at=Now())
    tool.refresh_from_db(fields=["updated_at"])
    return tool


def delete_tool(*, tool: Tool) -> None:
    tool.delete()


def look_at(*, tool: Tool, user_id: UUID) -> tuple[list[dict[str, Any]], str]:
    """The tools that a server has at this moment, and the digest to approve them by. Raises ToolInvalid, ToolFailed,
    FetchFailed."""
    if tool.kind != ToolKind.MCP:
        raise ToolInvalid("Only a server of tools has a list to look at.")
    _count(user_id)
    offered = mcp_tool.offered(tool)
    return offered, mcp_tool.digest(offered)


def approve(*, tool: Tool, user_id: UUID, sha256: str) -> Tool:
    """Pin what was looked at. Raises ToolListChanged where the server has other tools by now."""
    offered, digest = look_at(tool=tool, user_id=user_id)
    if digest != sha256:
        raise ToolListChanged
    tool.approved, tool.approved_sha256 = offered, digest
    tool.save(update_fields=["approved", "approved_sha256"])
    return tool


def try_tool(*, tool: Tool, user_id: UUID, arguments: Mapping[str, Any], name: str = "") -> Tried:
    """Raises ToolFailed, FetchFailed."""
    _count(user_id)
    began = time.monotonic()
    content = mcp_tool.call(tool, name, arguments) if tool.kind == ToolKind.MCP else http_tool.call(tool, arguments)
    return Tried(content, round((time.monotonic() - began) * 1000))


def _complete(tool: Tool) -> None:
    if tool.kind == ToolKind.MCP:
        fetching.check_url(tool.url)
        tool.parameters = {}
        return
    if not tool.description:
        raise ToolInvalid("A model chooses a tool by its description: it must have one.")
    tool.parameters = checked(tool.parameters)
    tool.url = http_tool.check_url(tool.url, tool.parameters)


def _count(user_id: UUID) -> None:
    hit(Limit("tools.try", TRIALS_PER_HOUR, timedelta(hours=1)), str(user_id))
