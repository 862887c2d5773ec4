"""How formatted text of Telegram is written down: links and code in Markdown, everything else as it reads.

Telegram counts in UTF-16 units, in which one emoji is two.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

LINK, CODE, BLOCK = "link", "code", "block"

_UNIT = 2  # bytes
_MAX_URL = 2000
_SAFE_URL = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f]", re.IGNORECASE)
_ENCODED = {char: f"%{ord(char):02X}" for char in "()<>\"'` \\"}
_ENCODED_URL = str.maketrans(_ENCODED)


class Span(NamedTuple):
    """`offset` and `length` in UTF-16 units; `kind` is LINK (to `url`), CODE or BLOCK."""

    offset: int
    length: int
    kind: str
    url: str = ""


def marked_up(text: str, spans: Iterable[Span]) -> str:
    """Of spans that overlap, the first holds; one that lies outside the text is left out."""
    units = text.encode("utf-16-le", "surrogatepass")
    pieces: list[str] = []
    done = 0
    for span in sorted(spans):
        start, end = span.offset * _UNIT, (span.offset + span.length) * _UNIT
        if start < done or end <= start or end > len(units):
            continue
        pieces += (_decoded(units[done:start]), formatted(_decoded(units[start:end]), span.kind, span.url))
        done = end
    return "".join(pieces) + _decoded(units[done:])


def formatted(text: str, kind: str, url: str = "") -> str:
    if kind == LINK:
        return linked(text, url)
    if kind == CODE and "`" not in text and "\n" not in text:
        return f"`{text}`"
    if kind == BLOCK and "```" not in text:
        return f"```\n{text.strip(chr(10))}\n```"
    return text


def linked(text: str, url: str) -> str:
    """`[text](url)` for an address that can be followed without harm, and otherwise only the text."""
    url = url.strip()
    if not _SAFE_URL.match(url) or len(url) > _MAX_URL or text.strip() in ("", url):
        return text
    # What would end the link early, or hide another in it.
    shown = text.replace("[", "(").replace("]", ")")
    return f"[{shown}]({url.translate(_ENCODED_URL)})" if "\n" not in text else text


def _decoded(units: bytes) -> str:
    """A span that begins in the middle of a character leaves a half, which no text can hold."""
    return units.decode("utf-16-le", "replace")
