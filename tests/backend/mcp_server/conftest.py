import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from backend.users import api_keys
from backend.users.models import User
from tests.backend.conversations.conftest import agent, client_of, conversation, knowledge, web

__all__ = ["agent", "client_of", "conversation", "knowledge", "web"]

MODES = ("legacy", "auto")  # begins with `initialize`; asks for the stateless protocol first


def key_of(user: User) -> str:
    return api_keys.create(user=user, name="program")[1]


@asynccontextmanager
async def connected(url: str, key: str, mode: str = "auto") -> AsyncIterator[Client]:
    """The protocol's own package, over HTTP."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20, trust_env=False) as http,
        Client(streamable_http_client(f"{url}/mcp/", http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.fixture
def using(web: str) -> Callable[..., Any]:
    """Runs `work(client)` with a client of the user's."""

    def use(user: User, work: Callable[[Client], Awaitable[Any]], mode: str = "auto") -> Any:
        key = key_of(user)

        async def used() -> Any:
            async with connected(web, key, mode) as client:
                return await work(client)

        return asyncio.run(used())

    return use


@pytest.fixture
def call(using: Callable[..., Any]) -> Callable[..., CallToolResult]:
    def called(user: User, name: str, *, mode: str = "auto", **arguments: Any) -> CallToolResult:
        result: CallToolResult = using(user, lambda client: client.call_tool(name, arguments), mode)
        return result

    return called


def text(result: CallToolResult) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text
