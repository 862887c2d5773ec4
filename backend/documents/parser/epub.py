"""EPUB books: a page for each chapter in reading order, under the chapter's title."""

import posixpath
from collections.abc import Iterator
from urllib.parse import unquote

from backend.documents.parser.archive import Archive
from backend.documents.parser.html import decoded, to_text
from backend.documents.parser.markup import Attributes, Handler, local, parse
from backend.documents.parser.office import main_part
from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable, collected, parts, shown
from backend.documents.parser.tags import scan

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONT_METHODS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_CHAPTERS = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_TITLE_CHARS = 150


def read(data: bytes) -> Reading:
    archive = Archive(data)
    if _ENCRYPTION in archive:
        parse(archive.blocks(_ENCRYPTION), _Encryption(), doctype=True)
    container = _Container()
    parse(archive.blocks(main_part(archive, _CONTAINER)), container, doctype=True)
    package = _Package(container.package)
    parse(archive.blocks(main_part(archive, container.package)), package, doctype=True)
    return collected(_chapters(archive, package))


def _chapters(archive: Archive, package: "_Package") -> Iterator[ParsedPage | Refused]:
    titles = _titles(archive, package)
    number = 0
    for key in package.spine:
        name, kind = package.items.get(key, ("", ""))
        if kind not in _CHAPTERS or name == package.navigation:
            continue
        number += 1
        if name not in archive:
            yield Refused(titles.get(name) or f"Chapter {number}", "It is missing from the file.")
            continue
        text = to_text(decoded(archive.part(name)))
        yield from parts(titles.get(name) or _first_heading(text) or f"Chapter {number}", text)


def _first_heading(text: str) -> str:
    line = text[:1000].partition("\n")[0]
    return shown(line.lstrip("#"), _TITLE_CHARS) if line.startswith("#") else ""


class _Encryption(Handler):
    """Fonts may be garbled, which readers undo; encrypted chapters are another matter."""

    def start(self, name: str, attributes: Attributes) -> None:
        if local(name) == "EncryptionMethod" and attributes.get("Algorithm") not in _FONT_METHODS:
            raise Unreadable("protected_book")


class _Container(Handler):
    package = ""

    def start(self, name: str, attributes: Attributes) -> None:
        if local(name) == "rootfile" and not self.package:
            self.package = attributes.get("full-path", "")


class _Package(Handler):
    """`items`: name and media type of each part by its id; `spine`: the ids in reading order, each once, however often
    it is named."""

    def __init__(self, name: str) -> None:
        self.items: dict[str, tuple[str, str]] = {}
        self.spine: dict[str, None] = {}
        self.navigation = ""
        self.contents = ""
        self._folder = posixpath.dirname(name)

    def start(self, name: str, attributes: Attributes) -> None:
        element = local(name)
        if element == "item":
            part = _resolved(self._folder, attributes.get("href", ""))
            kind = attributes.get("media-type", "")
            self.items[attributes.get("id", "")] = (part, kind)
            if "nav" in attributes.get("properties", "").split():
                self.navigation = part
            elif kind == "application/x-dtbncx+xml":
                self.contents = part
        elif element == "itemref":
            self.spine[attributes.get("idref", "")] = None


def _resolved(folder: str, link: str) -> str:
    return posixpath.normpath(posixpath.join("/", folder, unquote(link.partition("#")[0]))).lstrip("/")


def _titles(archive: Archive, package: _Package) -> dict[str, str]:
    """The chapters' titles by part, as the book's own table of contents has them; the first of each part."""
    if package.navigation in archive:
        links = _Links(posixpath.dirname(package.navigation))
        scan(decoded(archive.part(package.navigation)), links)
        return links.titles
    if package.contents in archive:
        points = _Points(posixpath.dirname(package.contents))
        parse(archive.blocks(package.contents), points, doctype=True)
        return points.titles
    return {}


class _Links:
    """The links of EPUB 3's navigation document."""

    def __init__(self, folder: str) -> None:
        self.titles: dict[str, str] = {}
        self._folder = folder
        self._target = ""
        self._words = ""

    def opened(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "a":
            self._target, self._words = _resolved(self._folder, attributes.get("href", "")), ""

    def closed(self, tag: str) -> None:
        if tag == "a" and self._target:
            if title := shown(self._words, _TITLE_CHARS):
                self.titles.setdefault(self._target, title)
            self._target = ""

    def text(self, data: str) -> None:
        if self._target:
            self._words = (self._words + data)[: 10 * _TITLE_CHARS]


class _Points(Handler):
    """The points of EPUB 2's table of contents: a label, and after it what it stands for."""

    def __init__(self, folder: str) -> None:
        self.titles: dict[str, str] = {}
        self._folder = folder
        self._words = ""
        self._in_text = False

    def start(self, name: str, attributes: Attributes) -> None:
        element = local(name)
        if element == "text":
            self._in_text, self._words = True, ""
        elif element == "content" and (title := shown(self._words, _TITLE_CHARS)):
            self.titles.setdefault(_resolved(self._folder, attributes.get("src", "")), title)

    def end(self, name: str) -> None:
        if local(name) == "text":
            self._in_text = False

    def characters(self, data: str) -> None:
        if self._in_text:
            self._words = (self._words + data)[: 10 * _TITLE_CHARS]
