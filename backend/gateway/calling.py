"""Calls of the agent that a request waits for."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from asgiref.sync import async_to_sync
from django.db import connection

from backend import agent_client
from backend.agent_client import AgentClient

Result = TypeVar("Result")


def waited_for(call: Callable[[AgentClient], Awaitable[Result]]) -> Result:
    """Raises AgentError. No connection to the database is held meanwhile."""

    async def called() -> Result:
        async with agent_client.connect() as agent:
            return await call(agent)

    if not connection.in_atomic_block:
        connection.close()
    return async_to_sync(called)()
