"""PowerPoint presentations, straight from their XML: a page for each slide, with its tables, diagrams and notes."""

from collections.abc import Iterator

from backend.documents.parser.archive import Archive
from backend.documents.parser.markup import Attributes, Handler, attribute, local, parse
from backend.documents.parser.office import main_part, relations
from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable, collected

_PRESENTATION = "ppt/presentation.xml"
_TITLES = ("title", "ctrTitle")
_NOT_THE_SLIDES = ("sldNum", "dt", "ftr", "hdr", "sldImg")  # what stands on every slide, and the slide's own picture
_DEEPEST_TABLE = 50
_COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006 Fallback"


def read(data: bytes) -> Reading:
    archive = Archive(data)
    order = _Order()
    parse(archive.blocks(main_part(archive, _PRESENTATION)), order)
    parts = relations(archive, _PRESENTATION)
    numbered = enumerate(order.slides, 1)
    slides = {parts[key].target: number for number, key in numbered if key in parts and parts[key].kind == "slide"}
    return collected(_slides(archive, slides))


class _Order(Handler):
    """The ids of the slides' relations; each slide once, however often it is named."""

    def __init__(self) -> None:
        self.slides: dict[str, None] = {}

    def start(self, name: str, attributes: Attributes) -> None:
        if local(name) == "sldId":
            self.slides[next((value for key, value in attributes.items() if key.endswith(" id")), "")] = None


def _slides(archive: Archive, numbers: dict[str, int]) -> Iterator[ParsedPage | Refused]:
    for part, number in numbers.items():
        slide = _Shapes()
        parse(archive.blocks(part), slide)
        label = f"Slide {number}: {slide.title}" if slide.title else f"Slide {number}"
        if slide.hidden:
            yield Refused(label, "It is hidden in the presentation.")
            continue
        notes: list[str] = []
        for relation in dict.fromkeys(relations(archive, part).values()):
            if relation.kind == "notesSlide":
                notes += _lines_of(archive, relation.target)
            elif relation.kind == "diagramData":
                slide.lines += _lines_of(archive, relation.target)
        yield ParsedPage(label, _page(slide, notes))


def _lines_of(archive: Archive, part: str) -> list[str]:
    reader = _Shapes()
    parse(archive.blocks(part), reader)
    return reader.lines


def _page(slide: "_Shapes", notes: list[str]) -> str:
    title = [f"# {slide.title}", ""] if slide.title else []
    body = "\n".join(slide.lines).strip()
    told = ["", "Notes:", "\n".join(notes).strip()] if notes else []
    return "\n".join([*title, body, *told]).strip()


class _Shapes(Handler):
    """The text of the shapes of a slide, of its notes or of a diagram."""

    def __init__(self) -> None:
        self.title = ""
        self.hidden = False
        self.lines: list[str] = []
        self._placeholder = ""
        self._paragraph: list[str] | None = None
        self._prefix = ""
        self._in_text = False
        self._cells: list[list[list[str]]] = []  # of each open table the row's cells, each a list of lines
        self._fallback = 0  # inside what an older program would show instead

    def start(self, name: str, attributes: Attributes) -> None:
        element = local(name)
        self._fallback += name == _COMPATIBILITY
        if self._fallback:
            return
        if element == "p":
            self._paragraph, self._prefix = [], ""
        elif self._paragraph is not None:
            self._in_paragraph(element, attributes)
        elif element == "sld":
            self.hidden = attributes.get("show") in ("0", "false")
        elif element in ("sp", "graphicFrame"):
            self._placeholder = ""
        elif element == "ph":
            self._placeholder = attributes.get("type", "body")
        elif element == "tr":
            self._start_row()
        elif element == "tc" and self._cells:
            self._cells[-1].append([])

    def _in_paragraph(self, element: str, attributes: Attributes) -> None:
        if element == "t":
            self._in_text = True
        elif element == "br" and self._paragraph is not None:
            self._paragraph.append("\n")
        elif element == "pPr":
            level = attribute(attributes, "lvl")
            self._prefix = "  " * int(level) + "- " if level in tuple("12345678") else ""

    def _start_row(self) -> None:
        if len(self._cells) == _DEEPEST_TABLE:
            raise Unreadable("corrupt_file")
        self._cells.append([])

    def characters(self, data: str) -> None:
        if self._in_text and self._paragraph is not None and not self._fallback:
            self._paragraph.append(data)

    def end(self, name: str) -> None:
        element = local(name)
        self._fallback -= name == _COMPATIBILITY
        if self._fallback:
            return
        if element == "t":
            self._in_text = False
        elif element == "p" and self._paragraph is not None:
            self._line("".join(self._paragraph).strip())
            self._paragraph = None
        elif element == "tr" and self._cells:
            cells = [" ".join(" ".join(cell).split()) for cell in self._cells.pop()]
            self._put("| " + " | ".join(cells) + " |")
        elif element in ("tbl", "txBody") and not self._cells and self.lines and self.lines[-1]:
            self.lines.append("")

    def _line(self, text: str) -> None:
        if not text or self._placeholder in _NOT_THE_SLIDES:
            return
        if self._placeholder in _TITLES and not self._cells:
            self.title = f"{self.title} {' '.join(text.split())}".strip()
        else:
            self._put(self._prefix + text)

    def _put(self, line: str) -> None:
        if self._cells and self._cells[-1]:
            self._cells[-1][-1].append(line)
        else:
            self.lines.append(line)
