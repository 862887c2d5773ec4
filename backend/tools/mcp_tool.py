"""Servers of tools that speak the Model Context Protocol over HTTP, through the one way out.

Each call opens a session, makes sure that the tool is still the one its owner has approved, calls it and is done: no
connection stays open, nothing that the server sends by itself is read, and it can ask nothing of us.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend import fetching
from backend.fetching import Resolver
from backend.fetching.dialling import resolve
from backend.tools.errors import ToolFailed, ToolUnapproved
from backend.tools.models import Tool
from backend.tools.schemas import check_arguments, simplified
from backend.tools.secrets import headers_of

PROTOCOL = "2025-06-18"
MAX_TOOLS = 20
MAX_PAGES = 5
ANSWER_BYTES = 512 * 1024
ANSWER_CHARS = 8_000
DESCRIPTION_CHARS = 1_000
SECONDS = 15.0
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_SESSION = re.compile(r"[\x21-\x7e]{1,200}")


class ServerRefused(ToolFailed):
    """The server of tools did not answer as its protocol says, or refused."""

    code = "tool_server_refused"


def offered(tool: Tool, *, resolver: Resolver = resolve) -> list[dict[str, Any]]:
    """What the server has at this moment: name, description and parameters of each. Raises ToolFailed, FetchFailed."""
    return _Session(tool, resolver).opened().tools()


def digest(tools: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(tools, sort_keys=True).encode()).hexdigest()


def call(tool: Tool, name: str, arguments: Mapping[str, Any], *, resolver: Resolver = resolve) -> str:
    """Raises ToolUnapproved where the server's list is not the one that was approved, ToolFailed, FetchFailed."""
    approved = next((one for one in tool.approved if one["name"] == name), None)
    if approved is None:
        raise ToolUnapproved
    check_arguments(arguments, approved["parameters"])
    session = _Session(tool, resolver).opened()
    if digest(session.tools()) != tool.approved_sha256:
        raise ToolUnapproved
    return session.called(name, dict(arguments))


@dataclass(slots=True)
class _Session:
    tool: Tool
    resolver: Resolver
    _id: str = ""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def opened(self) -> "_Session":
        client = {"name": "chatsphere", "version": "1"}
        self._ask("initialize", {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client})
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def tools(self) -> list[dict[str, Any]]:
        """In the order of their names, as far as a model can be told of them."""
        found: dict[str, dict[str, Any]] = {}
        cursor: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            result = self._ask("tools/list", cursor)
            listed = result.get("tools")
            for told in listed if isinstance(listed, list) else ():
                if isinstance(told, dict) and _NAME.fullmatch(str(told.get("name", ""))):
                    found[told["name"]] = {
                        "name": told["name"],
                        "description": str(told.get("description") or "")[:DESCRIPTION_CHARS],
                        "parameters": simplified(told.get("inputSchema")),
                    }
            if not isinstance(result.get("nextCursor"), str):
                break
            cursor = {"cursor": result["nextCursor"]}
        return [found[name] for name in sorted(found)][:MAX_TOOLS]

    def called(self, name: str, arguments: dict[str, Any]) -> str:
        result = self._ask("tools/call", {"name": name, "arguments": arguments})
        content = result.get("content")
        texts = [
            part["text"]
            for part in (content if isinstance(content, list) else ())
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        ]
        text = "\n".join(texts).replace("\x00", "").strip()[:ANSWER_CHARS]
        if result.get("isError") is True:
            raise ToolFailed(text[:500] or "The tool says that it failed.")
        return text or "(No text.)"

    def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
        message = _message(answer, number)
        if method == "initialize" and _SESSION.fullmatch(answer.headers.get("mcp-session-id", "")):
            self._id = answer.headers["mcp-session-id"]
        result = message.get("result")
        if not isinstance(result, dict):
            raise ServerRefused
        return result

    def _send(self, message: dict[str, Any]) -> fetching.Answer:
        headers = {
            **headers_of(self.tool),
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": PROTOCOL,
            **({"Mcp-Session-Id": self._id} if self._id else {}),
        }
        answer = fetching.exchange(
            "POST", self.tool.url, headers=headers, body=json.dumps(message).encode(), limit=ANSWER_BYTES,
            seconds=SECONDS, resolver=self.resolver,
        )  # fmt: skip
        if answer.status not in (200, 202):
            raise ServerRefused(details={"status": answer.status})
        return answer


def _message(answer: fetching.Answer, number: int) -> dict[str, Any]:
    """The one that answers: alone, or among the events of a stream that ends with it."""
    text = answer.content.decode("utf-8", "replace")
    bodies = _events(text) if answer.media_type == "text/event-stream" else [text]
    for body in bodies:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and message.get("id") == number:
            return message
    raise ServerRefused


def _events(text: str) -> list[str]:
    frames = re.split(r"\r?\n\r?\n", text)
    lines = ([line[5:].strip() for line in frame.splitlines() if line.startswith("data:")] for frame in frames)
    return ["\n".join(data) for data in lines if data]
