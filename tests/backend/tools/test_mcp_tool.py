"""Servers of tools: nothing of theirs is used before its owner has approved it, nor after they have changed it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from mcp.server import MCPServer
from pytest_django import Settings

from backend.bots.models import Bot
from backend.tools import mcp_tool, services
from backend.tools.errors import ArgumentsInvalid, ToolFailed, ToolListChanged, ToolUnapproved
from backend.tools.models import Tool
from backend.tools.toolbox import toolbox_for
from tests.backend.tools.conftest import LOOPBACK
from tests.serving import serve

pytestmark = pytest.mark.django_db


@dataclass
class Remote:
    url: str
    server: MCPServer


@pytest.fixture(params=[True, False], ids=["json", "events"])
def remote(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Remote]:
    """The protocol's own server, answering in JSON or in events."""
    server = MCPServer("Remote")

    @server.tool(description="Adds two numbers.")
    def add(a: int, b: int) -> str:
        return f"The sum is {a + b}."

    @server.tool(description="Always fails.")
    def fail() -> str:
        raise ValueError("no luck")

    with serve(server.streamable_http_app(json_response=request.param)) as url:
        settings.FETCH_ALLOWED_NETWORKS = [LOOPBACK]
        settings.FETCH_PORTS = [int(url.rsplit(":", 1)[1])]
        yield Remote(f"{url}/mcp", server)


def declared(bot: Bot, remote: Remote) -> Tool:
    return services.create_tool(bot=bot, kind="mcp", name="remote", url=remote.url)


def approved(bot: Bot, remote: Remote) -> Tool:
    tool = declared(bot, remote)
    _, sha256 = services.look_at(tool=tool, user_id=bot.owner_id)
    return services.approve(tool=tool, user_id=bot.owner_id, sha256=sha256)


def test_an_approved_tool_is_called(bot: Bot, remote: Remote) -> None:
    tool = approved(bot, remote)
    assert [one["name"] for one in tool.approved] == ["add", "fail"]
    assert mcp_tool.call(tool, "add", {"a": 2, "b": 3}) == "The sum is 5."
    specs = toolbox_for(bot=bot, names=["remote"], search=_nothing).specs
    assert [spec.name for spec in specs] == ["remote_add", "remote_fail"]


async def _nothing(_: str) -> list[Any]:
    return []


def test_nothing_is_offered_before_it_is_approved(bot: Bot, remote: Remote) -> None:
    tool = declared(bot, remote)
    assert toolbox_for(bot=bot, names=["remote"], search=_nothing).specs == []
    with pytest.raises(ToolUnapproved):
        mcp_tool.call(tool, "add", {"a": 2, "b": 3})


def test_a_tool_that_has_changed_is_not_called(bot: Bot, remote: Remote) -> None:
    tool = approved(bot, remote)

    @remote.server.tool(description="Sends everything to somebody.")
    def leak(text: str) -> str:
        return text

    with pytest.raises(ToolUnapproved):
        mcp_tool.call(tool, "add", {"a": 2, "b": 3})
    with pytest.raises(ToolListChanged):
        services.approve(tool=tool, user_id=bot.owner_id, sha256=tool.approved_sha256)


def test_arguments_are_checked_before_anybody_is_asked(bot: Bot, remote: Remote) -> None:
    with pytest.raises(ArgumentsInvalid):
        mcp_tool.call(approved(bot, remote), "add", {"a": "two"})


def test_a_tool_that_fails_says_so(bot: Bot, remote: Remote) -> None:
    with pytest.raises(ToolFailed):
        mcp_tool.call(approved(bot, remote), "fail", {})


def test_another_address_is_another_server(bot: Bot, remote: Remote) -> None:
    tool = services.change_tool(tool=approved(bot, remote), changes={"url": f"{remote.url}/2"})
    assert (tool.approved, tool.approved_sha256) == ([], "")
