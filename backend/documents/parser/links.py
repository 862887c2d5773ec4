"""Where a page or a sitemap leads, for whoever reads a site. Answers as pages whose label says what their text is:

of a page "title", "author", "dated", "main" (the sha256 of its main text), "canonical", "robots" (what it says of
itself in `<meta name="robots">`) and "links"; of a sitemap "sitemaps" and "pages". Lists have one absolute URL a line.
"""

import hashlib
import re
import zlib
from urllib.parse import urljoin

from backend.documents.parser import html, markup, webpage
from backend.documents.parser.reading import ParsedPage, Reading, Unreadable
from backend.documents.parser.tags import scan
from backend.documents.parser.text import decode

WANTS_LINK = True
warm = webpage.warm

LINKS_LIMIT = 5_000  # of one page
URLS_LIMIT = 50_000  # of one sitemap, by its protocol
UNPACKED_LIMIT = 50 * 1024 * 1024  # the same
_URL_CHARS = 2000
_GZIP = b"\x1f\x8b"
_BLOCK_BYTES = 1024 * 1024
_SITEMAP = re.compile(rb"<(?:[a-z0-9]{1,20}:)?(urlset|sitemapindex)[\s>]")
_BLANKS = re.compile(r"\s+")


def read(data: bytes, link: str) -> Reading:
    if data.startswith(_GZIP):
        data = _unpacked(data)
    if _SITEMAP.search(data[:4096]):
        return _reading(_of_sitemap(data))
    if b"<" not in data[:4096]:
        return _reading(_of_list(data))
    return _reading(_of_page(data, link))


def _reading(found: dict[str, str]) -> Reading:
    return Reading(len(found), (ParsedPage(label, text) for label, text in found.items()))


def _unpacked(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacking.decompress(data, UNPACKED_LIMIT)
    except zlib.error as exc:
        raise Unreadable("corrupt_file") from exc
    if not unpacking.eof:
        raise Unreadable("zip_bomb" if len(unpacked) == UNPACKED_LIMIT else "corrupt_file")
    return unpacked


def _of_sitemap(data: bytes) -> dict[str, str]:
    sitemap = _Sitemap()
    markup.parse((data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES)), sitemap)
    return {"sitemaps": "\n".join(sitemap.found["sitemap"]), "pages": "\n".join(sitemap.found["url"])}


class _Sitemap(markup.Handler):
    """Takes the events of `markup.parse`."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {"sitemap": [], "url": []}
        self._entry = ""
        self._loc = ""
        self._url: list[str] | None = None

    def start(self, name: str, _attributes: markup.Attributes) -> None:
        if markup.local(name) in self.found:
            self._entry = markup.local(name)
            self._loc = name.removesuffix(self._entry) + "loc"  # of the same namespace: a page's images have theirs
        elif self._entry and name == self._loc:
            self._url = []

    def end(self, name: str) -> None:
        if markup.local(name) == self._entry:
            self._entry = ""
        elif self._url is not None and name == self._loc:
            self._take("".join(self._url))
            self._url = None

    def characters(self, data: str) -> None:
        if self._url is not None and len(self._url) < _URL_CHARS:
            self._url.append(data[:_URL_CHARS])

    def _take(self, url: str) -> None:
        found = self.found[self._entry]
        if (fit := _fit(url)) and self._entry:
            found.append(fit)
        if len(found) >= URLS_LIMIT:
            raise markup.Enough


def _of_list(data: bytes) -> dict[str, str]:
    lines = (_fit(line) for line in decode(data).splitlines()[:URLS_LIMIT])
    return {"sitemaps": "", "pages": "\n".join(line for line in lines if line)}


def _of_page(data: bytes, link: str) -> dict[str, str]:
    main = webpage.main(data, link)
    page = _Page(link)
    scan(html.decoded(data), page)
    return {
        "title": main.title,
        "author": main.author,
        "dated": main.dated,
        "main": hashlib.sha256(main.text.encode("utf-8", "surrogatepass")).hexdigest(),
        "canonical": page.canonical,
        "robots": page.robots,
        "links": "\n".join(page.links),
    }


class _Page:
    """Takes the events of `tags.scan`. What is only shown inside a page, such as frames and images, is not followed."""

    def __init__(self, link: str) -> None:
        self.canonical = ""
        self.robots = ""
        self.links: dict[str, None] = {}
        self._base = link

    def opened(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "base" and attributes.get("href"):
            self._base = self._absolute(attributes["href"]) or self._base
        elif tag == "meta" and attributes.get("name", "").lower() == "robots":
            self.robots = ",".join(filter(None, (self.robots, attributes.get("content", "").lower()[:200])))[:500]
        elif tag == "link" and attributes.get("rel", "").lower() == "canonical":
            self.canonical = self.canonical or self._absolute(attributes.get("href", ""))
        elif tag in ("a", "area") and "nofollow" not in attributes.get("rel", "").lower():
            self._follow(attributes.get("href", ""))

    def closed(self, tag: str) -> None: ...

    def text(self, data: str) -> None: ...

    def _follow(self, href: str) -> None:
        url = self._absolute(href) if href and len(self.links) < LINKS_LIMIT else ""
        if url:
            self.links[url] = None

    def _absolute(self, href: str) -> str:
        try:
            return _fit(urljoin(self._base, href.strip()))
        except ValueError:
            return ""


def _fit(url: str) -> str:
    """The URL as it fits in a line, without its fragment; empty where it is none of the web's."""
    url = _BLANKS.sub("%20", url.strip()).partition("#")[0]
    return url if len(url) <= _URL_CHARS and url[:8].lower().startswith(("http://", "https://")) else ""
