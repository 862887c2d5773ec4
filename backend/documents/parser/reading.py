"""What every reader of a format gives back."""

from collections.abc import Iterator
from typing import NamedTuple

from backend.documents.sections import cuts

SECTION_CHARS = 20_000


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


def numbered(texts: list[str]) -> Reading:
    return Reading(len(texts), (ParsedPage(f"Page {number}", text) for number, text in enumerate(texts, 1)))


def in_sections(text: str) -> Reading:
    """A text that has no pages of its own, cut so that opening one stays cheap."""
    pieces = list(cuts(text, SECTION_CHARS))
    pages = (ParsedPage(f"Section {number}", text[start:end]) for number, (start, end) in enumerate(pieces, 1))
    return Reading(len(pieces), pages)
