"""Calling an address that a bot's owner has declared, through the one way out."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from backend import fetching
from backend.fetching import Resolver
from backend.fetching.dialling import resolve
from backend.tools.errors import ArgumentsInvalid, ToolFailed, ToolInvalid
from backend.tools.models import Method, Tool
from backend.tools.schemas import check_arguments
from backend.tools.secrets import headers_of

ANSWER_BYTES = 256 * 1024
ANSWER_CHARS = 8_000
SECONDS = 15.0

_PLACE = re.compile(r"\{([^{}]*)\}")


def check_url(url: str, parameters: Mapping[str, Any]) -> str:
    """The template as it is stored. Parameters may stand in its path and its query, never in what says which server is
    asked. Raises ToolInvalid, FetchFailed."""
    places = _PLACE.findall(url)
    if "{" in _PLACE.sub("", url) or "}" in _PLACE.sub("", url):
        raise ToolInvalid("Braces stand only around the name of a parameter.")
    plain = _PLACE.sub("x", url)
    fetching.check_url(plain)
    parts = urlsplit(url)
    if "{" in parts.scheme + parts.netloc or parts.fragment:
        raise ToolInvalid("Parameters may stand in the path and in the query only.")
    for name in places:
        if name not in parameters.get("properties", {}) or name not in parameters.get("required", []):
            raise ToolInvalid(f"{{{name[:40]}}} in the address must be a required parameter.")
        if parameters["properties"][name]["type"] == "array":
            raise ToolInvalid(f"{{{name[:40]}}} in the address must not be a list.")
    return url.strip()


def call(tool: Tool, arguments: Mapping[str, Any], *, resolver: Resolver = resolve) -> str:
    """Status and text of the answer. Raises ArgumentsInvalid, ToolFailed, FetchFailed."""
    check_arguments(arguments, tool.parameters)
    left = dict(arguments)
    url = _PLACE.sub(_filling(left, at=urlsplit(tool.url).query), tool.url)
    headers = {"Accept": "application/json, text/plain;q=0.9, text/*;q=0.5", **headers_of(tool)}
    body = None
    if tool.method == Method.POST:
        body = json.dumps(left, ensure_ascii=False).encode()
        headers["Content-Type"] = "application/json"
    elif left:
        url += ("&" if urlsplit(url).query else "?") + urlencode({key: _text(value) for key, value in left.items()})
    answer = fetching.exchange(
        tool.method, url, headers=headers, body=body, limit=ANSWER_BYTES, seconds=SECONDS, resolver=resolver
    )
    return f"Status {answer.status}\n{_shown(answer)}"


def _filling(arguments: dict[str, Any], *, at: str) -> Callable[[re.Match[str]], str]:
    used: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        value = used.setdefault(name, _text(arguments.pop(name, "")))
        if value in (".", "..") or (not value and match[0] not in at):
            raise ArgumentsInvalid(details={"parameter": name})  # it would name another place than the owner did
        return quote(value, safe="")

    return fill


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_text(one) for one in value)
    return str(value)


def _shown(answer: fetching.Answer) -> str:
    kind = answer.media_type
    if kind and not (kind.startswith("text/") or kind.endswith(("json", "xml"))):
        raise ToolFailed("The server answered something that is not text.", details={"media_type": kind[:100]})
    text = answer.content.decode("utf-8", "replace").replace("\x00", "").strip()
    return text[:ANSWER_CHARS] + ("\n(cut)" if len(text) > ANSWER_CHARS else "")
