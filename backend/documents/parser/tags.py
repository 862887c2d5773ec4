"""HTML cut into tags and text as browsers do it, in time linear in its length.

The standard library's html.parser looks for the end of each open comment, tag and declaration through all that follows:
2 MB of `<!--` keep it busy for more than a minute. What begins here and never ends ends with the text.
"""

import html
import re
from typing import Protocol

_MARKUP = re.compile(r"<(?=[a-zA-Z/!?])")
_NAME = re.compile(r"[a-zA-Z][^\s/>]*")
_ATTRIBUTE = re.compile(
    r"""[\s/]*(?:(>)|([^\s/>=][^\s/>=]*|=[^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>][^\s>]*)?))?)"""
)
_RAW = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}
_ENDLESS_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{10,};?")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Handler(Protocol):
    """Names are in lower case; an element closed in its own tag, as `<p/>`, is not told at all unless it is VOID."""

    def opened(self, tag: str, attributes: dict[str, str]) -> None: ...
    def closed(self, tag: str) -> None: ...
    def text(self, data: str) -> None: ...


def scan(text: str, handler: Handler) -> None:
    at = 0
    while (found := _MARKUP.search(text, at)) is not None:
        if found.start() > at:
            handler.text(_unescaped(text[at : found.start()]))
        after = _markup(text, found.end(), handler)
        if after is None:
            return
        at = after
    if at < len(text):
        handler.text(_unescaped(text[at:]))


def _markup(text: str, at: int, handler: Handler) -> int | None:
    """Where the text goes on after the markup whose `<` ends at `at`; None where the markup does not end."""
    if text[at] in "!?":
        return _after(text, "-->", at + 1) if text.startswith("!--", at) else _after(text, ">", at)
    if text[at] == "/":
        if name := _NAME.match(text, at + 1):
            handler.closed(name.group().lower())
        return _after(text, ">", at)
    return _start(text, at, handler)


def _after(text: str, sign: str, at: int) -> int | None:
    found = text.find(sign, at)
    return found + len(sign) if found >= 0 else None


def _start(text: str, at: int, handler: Handler) -> int | None:
    name = _NAME.match(text, at)
    assert name is not None  # noqa: S101 - _MARKUP has seen its first letter
    tag = name.group().lower()
    attributes: dict[str, str] = {}
    at = name.end()
    while (found := _ATTRIBUTE.match(text, at)) is not None:
        at = found.end()
        end, key, *values = found.groups()
        if end:
            return _opened(text, at, tag, attributes, handler)
        attributes.setdefault(key.lower(), _unescaped(next(filter(None, values), "")))
    return None


def _opened(text: str, at: int, tag: str, attributes: dict[str, str], handler: Handler) -> int | None:
    if text[at - 2] == "/" and tag not in VOID:
        return at
    handler.opened(tag, attributes)
    if tag not in _RAW:
        return at
    close = _RAW[tag].search(text, at)
    return close.start() if close else None


def _unescaped(text: str) -> str:
    """A character's number of thousands of digits is more than Python agrees to read."""
    return html.unescape(_ENDLESS_REFERENCE.sub("\ufffd", text)) if "&" in text else text
