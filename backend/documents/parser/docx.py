"""Word files, straight from their XML: text exactly as written, headings and tables as Markdown, Word's own pages."""

import re
from collections.abc import Sequence

from backend.documents.parser.archive import Archive
from backend.documents.parser.markup import Attributes, Handler, parse
from backend.documents.parser.reading import MAX_TEXT_CHARS, Reading, Unreadable, in_sections, numbered

_WORD = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main ",
    "http://purl.oclc.org/ooxml/wordprocessingml/main ",
)
_COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006 "
_BODY = "word/document.xml"
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_HEADING = re.compile(r"heading\s*([1-6])", re.IGNORECASE)
_MARKS = {"tab": "\t", "cr": "\n", "noBreakHyphen": "-"}
_DEEPEST = 50  # tables in cells, text boxes in paragraphs; deeper than any writer's


def read(data: bytes) -> Reading:
    archive = Archive(data)
    if _BODY not in archive:
        raise Unreadable("corrupt_file")
    levels = _heading_levels(archive)
    body = _Body(levels)
    parse(archive.blocks(_BODY), body)
    for notes in _NOTES:
        if notes in archive:
            parse(archive.blocks(notes), body)
    pages = body.pages()
    return numbered(pages) if len(pages) > 1 else in_sections(pages[0])


def _local(name: str) -> str:
    """The name of an element of Word's own; empty for others."""
    return name.rpartition(" ")[2] if name.startswith(_WORD) else ""


def _value(attributes: Attributes, name: str = "val") -> str:
    return next((attributes[word + name] for word in _WORD if word + name in attributes), "")


def _heading_levels(archive: Archive) -> dict[str, int]:
    """Style id to heading level, whatever language the style's id is in: Word keeps the built-in names in English."""
    if "word/styles.xml" not in archive:
        return {}
    styles = _Styles()
    parse(archive.blocks("word/styles.xml"), styles)
    return styles.levels


class _Styles(Handler):
    def __init__(self) -> None:
        self.levels: dict[str, int] = {}
        self._current = ""

    def start(self, name: str, attributes: Attributes) -> None:
        if _local(name) == "style":
            self._current = _value(attributes, "styleId")
        elif _local(name) == "name" and (found := _HEADING.fullmatch(_value(attributes))):
            self.levels[self._current] = int(found.group(1))


def _refuse_deeper(stack: Sequence[object]) -> None:
    if len(stack) == _DEEPEST:
        raise Unreadable("corrupt_file")


class _Paragraph:
    def __init__(self) -> None:
        self.text: list[str] = []
        self.prefix = ""


class _Body(Handler):
    """Collects lines page by page. Text boxes are paragraphs in paragraphs, tables may lie in cells: hence stacks."""

    def __init__(self, heading_levels: dict[str, int]) -> None:
        self._levels = heading_levels
        self._pages: list[list[str]] = [[]]
        self._paragraphs: list[_Paragraph] = []
        self._rows: list[list[list[str]]] = []  # of each open table its row's cells, each a list of lines
        self._in_text = False
        self._fallback = 0  # inside mc:Fallback, which says again what mc:Choice said
        self._fresh_page = True
        self._left = MAX_TEXT_CHARS

    def start(self, name: str, attributes: Attributes) -> None:
        if name == f"{_COMPATIBILITY}Fallback":
            self._fallback += 1
        if self._fallback:
            return
        local = _local(name)
        if local == "p":
            _refuse_deeper(self._paragraphs)
            self._paragraphs.append(_Paragraph())
        elif local == "t":
            self._in_text = True
        elif local == "tr":
            _refuse_deeper(self._rows)
            self._rows.append([])
        elif local == "tc" and self._rows:
            self._rows[-1].append([])
        elif self._paragraphs:
            self._in_paragraph(local, attributes)

    def _in_paragraph(self, local: str, attributes: Attributes) -> None:
        paragraph = self._paragraphs[-1]
        if local == "pStyle":
            style = _value(attributes)
            found = _HEADING.fullmatch(style)
            level = self._levels.get(style) or (int(found.group(1)) if found else 0)
            paragraph.prefix = "#" * level + " " if level else paragraph.prefix
        elif local == "numPr":
            paragraph.prefix = paragraph.prefix or "- "
        elif local == "lastRenderedPageBreak" or (local == "br" and _value(attributes, "type") == "page"):
            self._turn_page()
        elif local == "br":
            paragraph.text.append("\n")
        elif local in _MARKS and attributes.keys().isdisjoint(f"{word}pos" for word in _WORD):  # not a tab stop's place
            paragraph.text.append(_MARKS[local])

    def characters(self, data: str) -> None:
        if self._in_text and self._paragraphs and not self._fallback:
            self._left -= len(data)
            if self._left < 0:
                raise Unreadable("text_too_long")
            self._paragraphs[-1].text.append(data)

    def end(self, name: str) -> None:
        if name == f"{_COMPATIBILITY}Fallback":
            self._fallback -= 1
        if self._fallback:
            return
        local = _local(name)
        if local == "t":
            self._in_text = False
        elif local == "p" and self._paragraphs:
            self._flush(self._paragraphs.pop())
        elif local == "tr" and self._rows:
            cells = [" ".join(cell) for cell in self._rows.pop()]
            self._line("| " + " | ".join(cells) + " |")
        elif local == "tbl" and not self._rows:
            self._pages[-1].append("")

    def _flush(self, paragraph: _Paragraph) -> None:
        text = "".join(paragraph.text).strip()
        if text:
            self._line(paragraph.prefix + text)
            if not self._rows:
                self._pages[-1].append("")

    def _line(self, line: str) -> None:
        self._fresh_page = False
        if self._rows and self._rows[-1]:
            self._rows[-1][-1].append(line)
        else:
            self._pages[-1].append(line)

    def _turn_page(self) -> None:
        """Word marks a wanted break twice, as wanted and as rendered; with no text between they are one. A table stays
        on the page where it began."""
        if self._rows:
            return
        paragraph = self._paragraphs[-1]
        pending = "".join(paragraph.text).strip()
        if pending:
            self._line(paragraph.prefix + pending)
            paragraph.text, paragraph.prefix = [], ""
        if not self._fresh_page:
            self._pages.append([])
            self._fresh_page = True

    def pages(self) -> list[str]:
        return [re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() for lines in self._pages]
