"""A page of the web: what it is about, without the menus around it; title, author and date where it tells them.

trafilatura finds the main part. The text of that part is written here, since its Markdown escapes characters and a
citation quotes what stands there.
"""

import re
from typing import Any, NamedTuple

from trafilatura import bare_extraction

from backend.documents.parser import html
from backend.documents.parser.reading import SECTION_CHARS, ParsedPage, Reading
from backend.documents.sections import cuts

WANTS_LINK = True

_BLANKS = re.compile(r"\s+")
_LEVEL = re.compile(r"h([1-6])")
_FEW_CHARS = 200  # found by trafilatura: so little may be a cookie banner, or a page that it has run into one line
_NO_GUESSING = {"extensive_search": False, "original_date": True}


_SHORT_PAGE = b"<title>A page</title><p>Of which there is little, on 1 May 2020."


class Main(NamedTuple):
    """`dated` is an ISO 8601 date."""

    title: str
    text: str
    author: str = ""
    dated: str = ""


def read(data: bytes, link: str) -> Reading:
    page = main(data, link)
    pieces = list(cuts(page.text, SECTION_CHARS))
    pages = (
        ParsedPage(f"Section {number}", page.text[start:end], link, page.author, page.dated)
        for number, (start, end) in enumerate(pieces, 1)
    )
    return Reading(len(pieces), pages)


def warm() -> None:
    """Load what trafilatura loads when it first meets a short page: the joining words of a hundred languages, which
    take a fifth of a second and, for as long as they are there, 35 MB."""
    main(_SHORT_PAGE, "https://example.com/")


def main(data: bytes, link: str) -> Main:
    """Everything a reader sees, where trafilatura finds little of it."""
    markup = html.decoded(data)
    whole = html.to_text(markup)
    found: Any = bare_extraction(
        markup,
        url=link or None,
        include_comments=False,
        include_formatting=True,
        with_metadata=True,
        date_extraction_params=_NO_GUESSING,
    )
    if found is None or found.body is None:
        return Main(_first_line(whole), whole)
    text = _text(found.body)
    title = _line(found.title or "") or _first_line(whole)
    if len(text) < _FEW_CHARS:
        text = whole
    elif title and not text.startswith("# "):
        text = f"# {title}\n\n{text}"
    return Main(title, text, _line(found.author or ""), found.date or "")


def _first_line(text: str) -> str:
    return next((line.lstrip("# ").strip() for line in text.splitlines() if line.strip()), "")


def _line(text: str) -> str:
    return _BLANKS.sub(" ", text).strip()


def _text(body: Any) -> str:
    blocks = [block for element in body for block in _blocks(element)]
    return "\n\n".join(block for block in blocks if block.strip())


def _blocks(element: Any) -> list[str]:
    """Of one element of trafilatura's own markup, each without the blank lines around it."""
    if not isinstance(element.tag, str):
        return []
    if element.tag == "head":
        level = _LEVEL.fullmatch(element.get("rend", ""))
        return [f"{'#' * int(level[1] if level else 2)} {_line(_inside(element))}"]
    if element.tag == "table":
        return ["\n".join(_row(row) for row in element.iter("row"))]
    if element.tag == "list":
        return ["\n".join(_items(element, 0))]
    if element.tag == "code":
        return [f"```\n{_inside(element).strip(chr(10))}\n```"]
    if element.tag in ("quote", "div") and len(element):
        return [block for child in element for block in _blocks(child)] or [_lines(element)]
    return [_lines(element)]


def _row(row: Any) -> str:
    return " | ".join(_line(_inside(cell)) for cell in row.iter("cell"))


def _items(listed: Any, depth: int) -> list[str]:
    lines = []
    for item in listed:
        if item.tag == "list":
            lines += _items(item, depth + 1)
        elif isinstance(item.tag, str):
            words = _line(_inside(item, without="list"))
            lines += [f"{'  ' * depth}- {words}"] if words else []
            lines += [line for inner in item.iterchildren("list") for line in _items(inner, depth + 1)]
    return lines


def _lines(element: Any) -> str:
    """A paragraph: one line, but for the breaks it has itself."""
    lines = (_line(line) for line in _inside(element, breaks="\x00").split("\x00"))
    return "\n".join(line for line in lines if line)


def _inside(element: Any, *, without: str = "", breaks: str = "\n") -> str:
    """The text in it, but for that of elements named `without`; an `lb` is a break."""
    pieces = [element.text or ""]
    for child in element.iterchildren():
        if child.tag == "lb":
            pieces.append(breaks)
        elif isinstance(child.tag, str) and child.tag != without:
            pieces.append(_inside(child, without=without, breaks=breaks))
        pieces.append(child.tail or "")
    return "".join(pieces)
