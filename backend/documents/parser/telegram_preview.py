"""The pages that t.me shows of a public channel (`t.me/s/name`), for our own connector: what each post says, by whom,
when. The link it is read with is the channel's, to tell its posts from what else may stand there."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import html

from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable
from backend.documents.parser.telegram_markup import BLOCK, CODE, formatted, linked

WANTS_LINK = True
SERVICE, MEDIA = "service", "media"

_POST = re.compile(r"[A-Za-z]\w{3,31}/(\d{1,15})", re.ASCII)
_MAX_DEPTH = 100


def read(data: bytes, link: str) -> Reading:
    """One page for each post with text, its label the post's number; each other post is refused as SERVICE or MEDIA.
    Unreadable("telegram_no_preview") where it is no such page."""
    try:
        root = html.document_fromstring(data, parser=html.HTMLParser(encoding="utf-8"))
    except (ValueError, html.etree.ParserError) as exc:
        raise Unreadable("telegram_no_preview") from exc
    if not root.xpath(_of_class("tgme_channel_history")):
        raise Unreadable("telegram_no_preview")
    found = [_post(node, link) for node in root.xpath(_of_class("tgme_widget_message") + "[@data-post]")]
    pages = [page for page in found if page is not None]
    return Reading(sum(isinstance(page, ParsedPage) for page in pages), iter(pages))


def _post(node: Any, link: str) -> ParsedPage | Refused | None:
    named = _POST.fullmatch(node.get("data-post", ""))
    if named is None or not f"{link}/".lower().endswith(f"/{node.get('data-post').partition('/')[0].lower()}/"):
        return None
    number = named[1].lstrip("0")
    texts = node.xpath("." + _of_class("js-message_text"))
    outermost = [each for each in texts if not any(each in other.iterdescendants() for other in texts)]
    text = "\n\n".join(_text(each).strip() for each in outermost)
    if "service_message" in node.get("class", "").split():
        return Refused(number, SERVICE)
    if not text.strip():
        return Refused(number, MEDIA)
    return ParsedPage(number, text, f"{link}/{number}", _author(node), _dated(node))


def _author(node: Any) -> str:
    author = _first(node, "tgme_widget_message_from_author") or _first(node, "tgme_widget_message_owner_name")
    origin = _first(node, "tgme_widget_message_forwarded_from_name")
    return ", ".join(part for part in (author, f"forwarded from {origin}" if origin else "") if part)


def _dated(node: Any) -> str:
    times = node.xpath("." + _of_class("tgme_widget_message_date") + "//time/@datetime")
    return str(times[0])[:40] if times else ""


def _first(node: Any, name: str) -> str:
    found = node.xpath("." + _of_class(name))
    return " ".join(found[0].text_content().split()) if found else ""


def _of_class(name: str) -> str:
    return f'//*[contains(concat(" ", normalize-space(@class), " "), " {name} ")]'


def _text(node: Any, depth: int = 0) -> str:
    return (node.text or "") + "".join(_inner(node, depth))


def _inner(node: Any, depth: int) -> Iterator[str]:
    for child in node:
        yield _element(child, depth + 1) if isinstance(child.tag, str) else ""
        yield child.tail or ""


def _element(node: Any, depth: int) -> str:
    if depth > _MAX_DEPTH:
        return str(node.text_content())
    if node.tag == "br":
        return "\n"
    if node.tag in ("script", "style"):
        return ""
    text = _text(node, depth)
    if node.tag == "a":
        return linked(text, node.get("href", ""))
    return formatted(text, {"pre": BLOCK, "code": CODE}.get(node.tag, ""))
