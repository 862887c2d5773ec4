"""E-mail messages: who, to whom, when and about what, the text, and what of the attachments is text."""

import importlib
from collections import deque
from collections.abc import Iterator
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from email.utils import collapse_rfc2231_value, parsedate_to_datetime

from backend.documents.failures import FAILURES
from backend.documents.formats import (
    CODE,
    CSV,
    HTML,
    JSON,
    JSONL,
    MARKDOWN,
    RTF,
    SNIFF_BYTES,
    TEXT,
    NotAccepted,
    recognise,
)
from backend.documents.parser.html import decoded, to_text
from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable, collected, parts, shown
from backend.documents.parser.text import decode, decode_as

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_HEADER_CHARS = 2_000  # the standard library takes time that grows with the square of a header
_SHOWN_CHARS = 500
_MAX_MESSAGES = 100  # forwarded ones within each other or side by side
_MAX_ATTACHMENTS = 200
_READ = (TEXT, MARKDOWN, HTML, CSV, JSON, JSONL, CODE, RTF)
_BODIES = ("text/plain", "text/html")

Mail = Message  # generic for type checkers only


class _Policy(Compat32):
    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_HEADER_CHARS]


def read(data: bytes) -> Reading:
    return collected(_messages(BytesParser(policy=_Policy()).parsebytes(data)))


def _messages(first: Mail) -> Iterator[ParsedPage | Refused]:
    """The message and those forwarded with it, each followed by its attachments."""
    waiting = deque([first])
    left = _MAX_ATTACHMENTS
    for _ in range(_MAX_MESSAGES):
        if not waiting:
            return
        message = waiting.popleft()
        bodies, attachments, forwarded = _sorted(message)
        waiting.extend(forwarded)
        yield from _page(message, bodies)
        for attachment in attachments[:left]:
            yield from _attachment(attachment)
        if len(attachments) > left:
            yield Refused(f"{len(attachments) - left:,} attachments", f"Only the first {_MAX_ATTACHMENTS} were read.")
        left = max(0, left - len(attachments))
    if waiting:
        yield Refused(f"{len(waiting):,} forwarded messages", f"Only the first {_MAX_MESSAGES} were read.")


def _sorted(message: Mail) -> tuple[list[Mail], list[Mail], list[Mail]]:
    """The parts that are the message's text, its attachments, and the messages inside of it."""
    bodies: list[Mail] = []
    attachments: list[Mail] = []
    forwarded: list[Mail] = []
    waiting = [message]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        inside = [inner for inner in part.get_payload() if isinstance(inner, Message)] if part.is_multipart() else []
        if kind.startswith("message/") and inside and part is not message:
            forwarded += inside
        elif inside:
            waiting += reversed(_preferred(inside) if kind == "multipart/alternative" else inside)
        elif kind in _BODIES and part.get_content_disposition() != "attachment":
            bodies.append(part)
        elif not part.is_multipart():
            attachments.append(part)
    return bodies, attachments, forwarded


def _preferred(alternatives: list[Mail]) -> list[Mail]:
    plain = [part for part in alternatives if part.get_content_type() == "text/plain" and _text(part).strip()]
    return plain[:1] or alternatives[-1:]


def _page(message: Mail, bodies: list[Mail]) -> Iterator[ParsedPage]:
    headers = _headers(message)
    dated = _dated(headers.get("Date", ""))
    above = "\n".join(f"{name}: {headers[name]}" for name in _HEADERS if headers.get(name))
    body = "\n\n".join(text for part in bodies if (text := _text(part).strip()))
    label = f"Message of {dated[:10]}" if dated else "Message"
    for page in parts(label, f"{above}\n\n{body}".strip()):
        yield page._replace(author=headers.get("From", ""), dated=dated)


def _headers(message: Mail) -> dict[str, str]:
    """The first of each; some write UTF-8 where only ASCII is allowed."""
    found: dict[str, str] = {}
    for name, value in message.raw_items():
        title = name.title()
        if title in _HEADERS and title not in found:
            raw = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            found[title] = shown(_decoded(raw), _SHOWN_CHARS)
    return found


def _decoded(header: str) -> str:
    try:
        return str(make_header(decode_header(header)))
    except (HeaderParseError, LookupError, ValueError):
        return header


def _dated(header: str) -> str:
    """ISO 8601 in UTC; empty where it is no date."""
    try:
        moment = parsedate_to_datetime(header)
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _text(part: Mail) -> str:
    data = _bytes(part)
    charset = _parameter(part, "charset")
    if part.get_content_type() == "text/html":
        return to_text(decode_as(data, charset) or decoded(data))
    return decode_as(data, charset) or decode(data)


def _bytes(part: Mail) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _parameter(part: Mail, name: str, header: str = "content-type") -> str:
    value = part.get_param(name, "", header)
    return collapse_rfc2231_value(value)


def _filename(part: Mail) -> str:
    name = _parameter(part, "filename", "content-disposition") or _parameter(part, "name")
    return shown(_decoded(name), _SHOWN_CHARS).replace("\\", "/").rpartition("/")[2]


def _attachment(part: Mail) -> Iterator[ParsedPage | Refused]:
    name = _filename(part)
    label = f"Attachment {name}" if name else f"Attachment ({part.get_content_type()})"
    data = _bytes(part)
    try:
        kind = recognise(filename=name, head=data[:SNIFF_BYTES])
    except NotAccepted as exc:
        yield Refused(label, str(exc))
        return
    if kind not in _READ:
        yield Refused(label, "Attachments of this type are not read with the message. Upload it by itself.")
        return
    try:
        reading = importlib.import_module(f"backend.documents.parser.{kind.name}").read(data)
        pages = list(reading.pages)
    except Unreadable as exc:
        yield Refused(label, FAILURES[exc.code].message)
        return
    for page in pages:
        if isinstance(page, Refused):
            yield Refused(f"{label}, {page.part}", page.reason)
        else:
            yield page._replace(label=f"{label}, {page.label}" if reading.total > 1 else label)
