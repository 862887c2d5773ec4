"""Calling the agent over its WebSocket as the backend does."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from agent_service.contract import TOKEN_HEADER
from tests.agent_service.calls import Caller, Event, sign

Tool = Callable[[dict[str, Any]], dict[str, Any]]

SEARCH = {
    "name": "knowledge_search",
    "description": "Finds passages.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}
CALCULATOR = {
    "name": "calculator",
    "description": "Reckons.",
    "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
}


@contextmanager
def line(caller: Caller, request: dict[str, Any], **claims: Any) -> Iterator[ClientConnection]:
    """Open, with the request sent."""
    body = json.dumps(request).encode()
    scope = {"user": str(caller.user), "bot": str(caller.bot), "namespace": caller.namespace}
    token = sign("GET", "/agents/process", body, **(scope | claims))
    address = caller.url.replace("http://", "ws://") + "/agents/process"
    with connect(address, additional_headers={TOKEN_HEADER: token}, proxy=None, open_timeout=20) as socket:
        socket.send(body.decode())
        yield socket


def frames_of(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """Until the agent closes, after an answer or after an error."""
    with suppress(ConnectionClosedError):
        for message in socket:
            yield json.loads(message)


def converse(
    caller: Caller, request: dict[str, Any], tools: dict[str, Tool] | None = None, **claims: Any
) -> list[Event]:
    """All events up to the end; each call of a tool is answered by the one of its name."""
    events: list[Event] = []
    with line(caller, request, **claims) as socket:
        for frame in frames_of(socket):
            if frame["event"] != "heartbeat":
                events.append((frame["event"], frame["data"]))
            if frame["event"] == "tool_call":
                result = (tools or {})[frame["data"]["name"]](frame["data"]["arguments"])
                data = {"id": frame["data"]["id"], **result}
                socket.send(json.dumps({"event": "tool_result", "data": data}))
    return events


def text_of(events: list[Event]) -> str:
    return "".join(data["text"] for name, data in events if name == "delta")


def calls_of(events: list[Event]) -> list[tuple[str, dict[str, Any]]]:
    return [(data["name"], data["arguments"]) for name, data in events if name == "tool_call"]


def last(events: list[Event], name: str) -> Any:
    return [data for event, data in events if event == name][-1]
