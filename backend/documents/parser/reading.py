"""What every reader of a format gives back."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from backend.core.text import clean_text
from backend.documents.sections import cuts

SECTION_CHARS = 20_000
MAX_TEXT_CHARS = 50_000_000  # held at once; the deployment's own limit comes after, and is lower

# As wide as the columns they end up in; the last one is for a reader only.
_LABEL_CHARS = 200
_LINK_CHARS = 2000
_AUTHOR_CHARS = 200
_REASON_CHARS = 500
# What turns the direction of writing around, and so shows one name as another.
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])


class Unreadable(Exception):
    """Why there is no text; `code` is a name in `failures.FAILURES`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ParsedPage(NamedTuple):
    """`link`, `author` and `dated` (ISO 8601) where the page has its own, such as a post or a message."""

    label: str
    text: str
    link: str = ""
    author: str = ""
    dated: str = ""


class Refused(NamedTuple):
    """A part that was not read, and why, in words for the owner; the rest was."""

    part: str
    reason: str


class Reading(NamedTuple):
    """`pages` yields `total` pages, numbered from 1 in that order, and any number of refused parts between them."""

    total: int
    pages: Iterator[ParsedPage | Refused]


def storable(item: ParsedPage | Refused) -> ParsedPage | Refused:
    """The item as it may enter the database: whatever a file calls its parts, in one clean line of bounded length."""
    if isinstance(item, Refused):
        return Refused(shown(item.part, _LABEL_CHARS), shown(item.reason, _REASON_CHARS))
    return ParsedPage(
        shown(item.label, _LABEL_CHARS),
        clean_text(item.text),
        clean_text(item.link)[:_LINK_CHARS],
        shown(item.author, _AUTHOR_CHARS),
        item.dated,
    )


def shown(words: str, limit: int) -> str:
    """One line, without what cannot be seen, of at most `limit` characters."""
    words = " ".join(clean_text(words[: 10 * limit]).translate(_TURNS).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def collected(pages: Iterable[ParsedPage | Refused]) -> Reading:
    """Of pages whose number is not known before they are made. Raises Unreadable where they grow beyond all measure."""
    held: list[ParsedPage | Refused] = []
    left = MAX_TEXT_CHARS
    for item in pages:
        left -= len(item.text) if isinstance(item, ParsedPage) else 0
        if left < 0:
            raise Unreadable("text_too_long")
        held.append(item)
    return Reading(sum(isinstance(item, ParsedPage) for item in held), iter(held))


def parts(label: str, text: str) -> Iterator[ParsedPage]:
    """One place of a file, in as many pages as keep opening one cheap."""
    pieces = list(cuts(text, SECTION_CHARS)) or [(0, 0)]
    if len(pieces) == 1:
        yield ParsedPage(label, text)
        return
    for number, (start, end) in enumerate(pieces, 1):
        yield ParsedPage(f"{shown(label, _LABEL_CHARS - 20)}, part {number}", text[start:end])


def numbered(texts: list[str]) -> Reading:
    return Reading(len(texts), (ParsedPage(f"Page {number}", text) for number, text in enumerate(texts, 1)))


def in_sections(text: str) -> Reading:
    """A text that has no pages of its own, cut so that opening one stays cheap."""
    pieces = list(cuts(text, SECTION_CHARS))
    pages = (ParsedPage(f"Section {number}", text[start:end]) for number, (start, end) in enumerate(pieces, 1))
    return Reading(len(pieces), pages)
