"""OpenDocument texts, straight from their XML: headings and tables as Markdown, pages where the writer noted them."""

import re
from collections.abc import Callable

from backend.documents.parser.archive import Archive
from backend.documents.parser.markup import Attributes, Handler, attribute, local, parse
from backend.documents.parser.office import main_part
from backend.documents.parser.reading import MAX_TEXT_CHARS, Reading, Unreadable, in_sections, numbered

_CONTENT = "content.xml"
_MANIFEST = "META-INF/manifest.xml"
_OPENDOCUMENT = "urn:oasis:names:tc:opendocument:xmlns:"
_TEXT = f"{_OPENDOCUMENT}text:1.0 "
_TABLE = f"{_OPENDOCUMENT}table:1.0 "
_OFFICE = f"{_OPENDOCUMENT}office:1.0 "
_UNREAD = {f"{_TEXT}tracked-changes", f"{_OFFICE}annotation", f"{_OFFICE}forms", f"{_TEXT}note-citation"}
_MAX_SPACES = 100
_MAX_REPEATS = 100  # of a filled cell or row; empty ones are repeated to the sheet's end and mean nothing
_DEEPEST = 50  # tables in cells, notes in paragraphs
_DEEPEST_HEADING = 6
_MOST_CELLS = 10_000  # of one row
_BLANKS = re.compile(r"[ \t\r\n]+")


def read(data: bytes) -> Reading:
    archive = Archive(data)
    content = main_part(archive, _CONTENT)
    if _MANIFEST in archive:
        parse(archive.blocks(_MANIFEST), _Manifest(), doctype=True)
    body = _Body()
    parse(archive.blocks(content), body, doctype=True)
    pages = body.pages()
    return numbered(pages) if len(pages) > 1 else in_sections(pages[0])


class _Manifest(Handler):
    """Only asked whether the parts are encrypted, which is OpenDocument's own business and not the archive's."""

    def start(self, name: str, _: Attributes) -> None:
        if local(name) == "encryption-data":
            raise Unreadable("encrypted_file")


class _Row:
    def __init__(self, repeated: int) -> None:
        self.repeated = repeated
        self.cells: list[list[str]] = []
        self.repeats: list[int] = []

    def line(self) -> str:
        """Empty where all cells are."""
        texts = [" ".join(" ".join(cell).split()) for cell in self.cells]
        while texts and not texts[-1]:
            texts.pop()
        if sum(self.repeats[: len(texts)]) > _MOST_CELLS:
            raise Unreadable("corrupt_file")
        told = [text for text, times in zip(texts, self.repeats, strict=False) for _ in range(times)]
        return "| " + " | ".join(told) + " |" if told else ""


class _Body(Handler):
    """Collects lines page by page. Notes are paragraphs in paragraphs, tables may lie in cells: hence stacks."""

    def __init__(self) -> None:
        self._pages: list[list[str]] = [[]]
        self._paragraphs: list[list[str]] = []
        self._prefixes: list[str] = []
        self._inner: list[str] = []
        self._rows: list[_Row] = []
        self._lists = 0
        self._item = False
        self._unread = 0
        self._left = MAX_TEXT_CHARS
        self._marks: dict[str, Callable[[Attributes], str]] = {
            f"{_TEXT}s": lambda attributes: " " * _times(attributes, "c", _MAX_SPACES),
            f"{_TEXT}tab": lambda _: "\t",
            f"{_TEXT}line-break": lambda _: "\n",
        }

    def start(self, name: str, attributes: Attributes) -> None:
        self._unread += name in _UNREAD
        if self._unread:
            return
        if name in self._marks and self._paragraphs:
            self._paragraphs[-1].append(self._marks[name](attributes))
        elif name == f"{_TEXT}soft-page-break":
            self._turn_page()
        elif name.startswith(_TEXT):
            self._start_text(name, attributes)
        elif name.startswith(_TABLE):
            self._start_table(local(name), attributes)

    def _start_text(self, name: str, attributes: Attributes) -> None:
        element = local(name)
        if element == "p":
            self._open("- " if self._item else "")
            self._item = False
        elif element == "h":
            self._open("#" * _times(attributes, "outline-level", _DEEPEST_HEADING) + " ")
        elif element == "list-item":
            self._item = True

    def _open(self, prefix: str) -> None:
        if len(self._paragraphs) == _DEEPEST:
            raise Unreadable("corrupt_file")
        self._paragraphs.append([])
        self._prefixes.append(prefix)

    def _start_table(self, element: str, attributes: Attributes) -> None:
        if element == "table-row":
            if len(self._rows) == _DEEPEST:
                raise Unreadable("corrupt_file")
            self._rows.append(_Row(_times(attributes, "number-rows-repeated", _MAX_REPEATS)))
        elif element == "table-cell" and self._rows:
            self._rows[-1].cells.append([])
            self._rows[-1].repeats.append(_times(attributes, "number-columns-repeated", _MAX_REPEATS))

    def characters(self, data: str) -> None:
        if self._paragraphs and not self._unread:
            self._paragraphs[-1].append(_BLANKS.sub(" ", data) if "\n" in data else data)

    def end(self, name: str) -> None:
        self._unread -= name in _UNREAD
        if self._unread:
            return
        if name in (f"{_TEXT}p", f"{_TEXT}h") and self._paragraphs:
            self._flush("".join(self._paragraphs.pop()).strip(), self._prefixes.pop())
        elif name == f"{_TABLE}table-row" and self._rows:
            row = self._rows.pop()
            line = row.line()
            for _ in range(row.repeated if line else 0):
                self._line(line)
        elif name == f"{_TABLE}table" and not self._rows:
            self._pages[-1].append("")

    def _flush(self, text: str, prefix: str) -> None:
        """Notes and text boxes come after the paragraph that they are in."""
        if text:
            self._inner.append(prefix + text)
        if not self._paragraphs:
            lines, self._inner = self._inner[-1:] + self._inner[:-1] if text else self._inner, []
            for line in lines:
                self._line(line)
                if not self._rows:
                    self._pages[-1].append("")

    def _line(self, line: str) -> None:
        self._left -= len(line)
        if self._left < 0:
            raise Unreadable("text_too_long")
        if self._rows and self._rows[-1].cells:
            self._rows[-1].cells[-1].append(line)
        else:
            self._pages[-1].append(line)

    def _turn_page(self) -> None:
        """A table stays on the page where it began; a paragraph is cut where the page ends."""
        if self._rows or len(self._paragraphs) > 1:
            return
        if self._paragraphs:
            self._flush("".join(self._paragraphs.pop()).strip(), self._prefixes.pop())
            self._open("")
        self._pages.append([])

    def pages(self) -> list[str]:
        return [re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() for lines in self._pages]


def _times(attributes: Attributes, name: str, most: int) -> int:
    """A count that the file gives, from 1 to `most`."""
    value = attribute(attributes, name)
    if not (value.isascii() and value.isdigit()):
        return 1
    return most if len(value) > len(str(most)) else max(1, min(int(value), most))
