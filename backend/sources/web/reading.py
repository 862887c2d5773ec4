"""What an answer of a web server is: a page with its links, a file, or a sitemap. Read in the parser's own process."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from urllib.parse import unquote, urlsplit

from backend.documents import formats
from backend.documents.extraction import extract
from backend.documents.formats import LINKS, SNIFF_BYTES, Format
from backend.documents.parser.text import decode_as
from backend.fetching import Answer

_HTML = {"text/html", "application/xhtml+xml"}
_EXTENSIONS = {kind.media_type: kind.extensions[0] for kind in reversed(formats.FORMATS.values()) if kind.extensions}
# What a site links to in order to be read; scripts and feeds are taken only where they were named.
FOR_READERS = {"pdf", "docx", "pptx", "xlsx", "odt", "epub", "rtf", "text", "markdown", "csv"}
_NAME_CHARS = 100
_UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class WebPage:
    """`main` is the sha256 of its main text; `links` are absolute, and not yet canonical."""

    title: str
    main: str
    canonical: str
    robots: frozenset[str]
    links: list[str]


@dataclass(frozen=True, slots=True)
class Sitemap:
    sitemaps: list[str]
    pages: list[str]


def is_page(answer: Answer) -> bool:
    """By what the server says; where it says nothing, by the first sign."""
    return answer.media_type in _HTML or (not answer.media_type and answer.content[:200].lstrip().startswith(b"<"))


def as_utf8(answer: Answer) -> bytes:
    """The page's bytes with the encoding in them, which otherwise only the server's header tells."""
    text = decode_as(answer.content, answer.charset) if answer.charset else None
    return answer.content if text is None else text.encode("utf-8-sig", "replace")


def read_page(content: bytes, *, link: str, tick: Callable[[], None]) -> WebPage:
    """Raises ExtractionFailed."""
    found = _read(content, link, tick)
    robots = frozenset(re.findall(r"[a-z]+", found.get("robots", "")))
    return WebPage(
        found.get("title", ""), found.get("main", ""), found.get("canonical", ""), robots, _lines(found, "links")
    )


def read_sitemap(content: bytes, *, link: str, tick: Callable[[], None]) -> Sitemap:
    """A sitemap, or an index of them, packed or not, or a list of addresses. Raises ExtractionFailed."""
    found = _read(content, link, tick)
    return Sitemap(_lines(found, "sitemaps"), _lines(found, "pages"))


def _read(content: bytes, link: str, tick: Callable[[], None]) -> dict[str, str]:
    with TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        extraction = extract(file, format_name=LINKS.name, link=link, tick=lambda *_: tick())
    return {page.label: page.text for page in extraction.pages}


def _lines(found: dict[str, str], label: str) -> list[str]:
    return [line for line in found.get(label, "").splitlines() if line]


def page_name(url: str) -> str:
    """A file name for the page: the last word of its path."""
    return f"{_stem(url) or 'page'}.html"


def file_name(answer: Answer) -> str:
    """What the server calls the file, or its place; with the extension of what it says it is, where it has no other."""
    name = answer.filename or _last_part(answer.url)
    if PurePosixPath(name).suffix.lower().removeprefix(".") in _EXTENSIONS.values():
        return name
    extension = _EXTENSIONS.get(answer.media_type)
    return f"{name or 'file'}.{extension}" if extension else name or "file"


def format_of(answer: Answer, name: str) -> Format:
    """Raises NotAccepted."""
    return formats.recognise(filename=name, head=answer.content[:SNIFF_BYTES])


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _stem(url: str) -> str:
    return _UNFIT.sub("-", PurePosixPath(_last_part(url)).stem)[:_NAME_CHARS].strip("-")


def _last_part(url: str) -> str:
    return unquote(PurePosixPath(urlsplit(url).path).name)
