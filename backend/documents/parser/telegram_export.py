"""What Telegram Desktop exports of one chat: `result.json`, a list of messages, oldest first."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable
from backend.documents.parser.telegram_markup import BLOCK, CODE, LINK, formatted
from backend.documents.parser.telegram_posts import Post, page_of

WANTS_LINK = True  # the address of the channel, as its owner gave it

_ADDRESS = re.compile(r"https?://t(?:elegram)?\.me/(?:s/)?(c/\d{1,20}|[A-Za-z]\w{3,31})/?", re.ASCII)
_KINDS = {"code": CODE, "pre": BLOCK, "text_link": LINK}
_MAX_YEARS = 253_402_300_799  # the last second of the year 9999


def read(data: bytes, link: str) -> Reading:
    try:
        chat = json.loads(data)
    except ValueError as exc:
        raise Unreadable("corrupt_file") from exc
    messages = chat.get("messages") if isinstance(chat, dict) else None
    if not isinstance(messages, list):
        raise Unreadable("corrupt_file")
    root = _root(link, chat)
    posts, skipped = _sorted_out([message for message in messages if isinstance(message, dict)], root)
    return Reading(len(posts), _pages(posts, skipped))


def _pages(posts: list[ParsedPage], skipped: dict[str, int]) -> Iterator[ParsedPage | Refused]:
    yield from posts
    for reason, count in skipped.items():
        if count:
            yield Refused(f"{count} message" + "s" * (count > 1), reason)


def _sorted_out(messages: list[dict[str, Any]], root: str) -> tuple[list[ParsedPage], dict[str, int]]:
    posts: list[ParsedPage] = []
    service = media = 0
    for message in messages:
        text = _text(message.get("text_entities") or message.get("text"))
        if message.get("type") != "message":
            service += 1
        elif not text.strip():
            media += 1
        else:
            posts.append(_page(message, text, root))
    return posts, {"They only say what happened in the chat.": service, "They have no text, only media.": media}


def _page(message: dict[str, Any], text: str, root: str) -> ParsedPage:
    number = _number(message.get("id"))
    link = f"{root}/{number}" if root and number else ""
    post = Post(number, text, link, _author(message), _dated(message), _number(message.get("reply_to_message_id")))
    return page_of(post)


def _text(parts: Any) -> str:
    """A string, or strings and formatted pieces in the order they are read."""
    if not isinstance(parts, list):
        return parts if isinstance(parts, str) else ""
    return "".join(_piece(part) for part in parts)


def _piece(part: Any) -> str:
    if not isinstance(part, dict):
        return part if isinstance(part, str) else ""
    text, url = part.get("text"), part.get("href")
    if not isinstance(text, str):
        return ""
    return formatted(text, _KINDS.get(str(part.get("type")), ""), url if isinstance(url, str) else "")


def _author(message: dict[str, Any]) -> str:
    """Who signed it, else whose name it was sent under; and where it was forwarded from."""
    author = message.get("author") or message.get("from")
    origin = message.get("forwarded_from")
    told = [author] if isinstance(author, str) else []
    return ", ".join(told + ([f"forwarded from {origin}"] if isinstance(origin, str) and origin else []))


def _dated(message: dict[str, Any]) -> str:
    """Empty where it cannot be known: `date` is the exporting computer's own time, without saying which."""
    stamp = message.get("date_unixtime")
    if isinstance(stamp, str) and stamp.isascii() and stamp.isdigit() and len(stamp) < 13 and int(stamp) <= _MAX_YEARS:
        return datetime.fromtimestamp(int(stamp), UTC).isoformat()
    try:
        return datetime.fromisoformat(str(message.get("date"))).replace(tzinfo=UTC).isoformat()
    except ValueError:
        return ""


def _root(link: str, chat: dict[str, Any]) -> str:
    """What a post's number is appended to: the channel's address, or that by which its members reach it. A private
    conversation has none."""
    if named := _ADDRESS.fullmatch(link.strip()):
        return f"https://t.me/{named[1]}"
    number = _number(chat.get("id"))
    kind = str(chat.get("type"))
    return f"https://t.me/c/{number}" if number and kind.endswith(("channel", "supergroup")) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else 0
