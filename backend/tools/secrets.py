"""Headers that a tool's owner has given: sealed where they are stored, and shown to nobody again but by their names."""

import json
import re
from collections.abc import Mapping

from backend.core.sealing import SealBroken, seal, unseal
from backend.tools.errors import ToolFailed, ToolInvalid
from backend.tools.models import Tool

MAX_HEADERS = 10
_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")
_VALUE = re.compile(r"[\x20-\x7e]{1,2000}")
_OURS = {
    "host", "content-length", "transfer-encoding", "connection", "content-type", "accept-encoding", "upgrade", "te",
    "trailer", "expect", "proxy-authorization", "cookie",
}  # fmt: skip


class HeadersUnreadable(ToolFailed):
    """The tool's headers were sealed with a key that this deployment no longer has; its owner must give them again."""

    code = "headers_unreadable"


def sealed(headers: Mapping[str, str]) -> str:
    """Raises ToolInvalid."""
    if len(headers) > MAX_HEADERS:
        raise ToolInvalid(f"At most {MAX_HEADERS} headers.")
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ToolInvalid("This header cannot be set.", details={"header": name[:60]})
        if not _VALUE.fullmatch(value):
            raise ToolInvalid("A header's value is one line of visible ASCII.", details={"header": name})
    return seal(json.dumps(dict(headers))) if headers else ""


def headers_of(tool: Tool) -> dict[str, str]:
    """Raises HeadersUnreadable."""
    if not tool.headers:
        return {}
    try:
        found: dict[str, str] = json.loads(unseal(tool.headers))
    except SealBroken as exc:
        raise HeadersUnreadable from exc
    return found


def names_of(tool: Tool) -> list[str]:
    try:
        return sorted(headers_of(tool))
    except HeadersUnreadable:
        return []
