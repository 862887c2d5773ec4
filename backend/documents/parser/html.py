"""HTML to text: headings and tables as Markdown, without menus, scripts and what is hidden from a reader."""

import re
from html.parser import HTMLParser

from backend.documents.parser.reading import Reading, in_sections
from backend.documents.parser.text import decode

_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,40})", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_SKIPPED = {
    "script", "style", "noscript", "template", "nav", "svg", "math", "iframe", "object", "canvas", "select", "button",
    "dialog",
}  # fmt: skip
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "dd", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "header", "hr", "html", "main", "ol", "p", "pre", "section", "table", "tbody", "tfoot",
    "thead", "tr", "ul",
}  # fmt: skip
_NO_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def read(data: bytes) -> Reading:
    reader = _Reader()
    reader.feed(_decoded(data))
    reader.close()
    return in_sections(reader.text())


def _decoded(data: bytes) -> str:
    declared = _CHARSET.search(data[:4096])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode(declared.group(1).decode("ascii"), "replace")
        except LookupError:
            pass  # an encoding nobody knows: look at the bytes
    return decode(data)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line = ""
        self._title = ""
        self._in_title = False
        self._preformatted = 0
        self._skipping: list[str] = []  # the skipped element, and those of its name inside it
        self._has_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skipping:
            if tag == self._skipping[0]:
                self._skipping.append(tag)
            return
        if tag in _SKIPPED or (tag not in _VOID and _hidden(dict(attrs))):
            self._skipping.append(tag)
        elif tag == "title":
            self._in_title = True
        else:
            self._open(tag)

    def _open(self, tag: str) -> None:
        if tag in _HEADINGS or tag in _BLOCKS or tag in ("br", "li"):
            self._break()
        if tag in _HEADINGS:
            self._lines.append("")
            self._line = _HEADINGS[tag]
            self._has_heading = self._has_heading or tag == "h1"
        elif tag == "li":
            self._line = "- "
        elif tag in ("td", "th") and self._line:
            self._line = self._line.rstrip() + " | "
        elif tag == "pre":
            self._preformatted += 1
        elif tag == "p":
            self._lines.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            if tag == self._skipping[0]:
                self._skipping.pop()
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADINGS or tag in _BLOCKS or tag == "li":
            self._break()
            self._preformatted -= bool(self._preformatted and tag == "pre")
            if tag in _HEADINGS or tag in ("p", "table"):
                self._lines.append("")

    def handle_data(self, data: str) -> None:
        if self._skipping:
            return
        if self._in_title:
            self._title += data
        elif self._preformatted:
            *lines, self._line = (self._line + data).split("\n")
            self._lines += lines
        else:
            text = _BLANKS.sub(" ", data)
            self._line += text.lstrip() if not self._line or self._line.endswith(" ") else text

    def _break(self) -> None:
        if self._line.strip():
            self._lines.append(self._line if self._preformatted else self._line.strip())
        self._line = ""

    def text(self) -> str:
        self._break()
        title = _BLANKS.sub(" ", self._title).strip()
        lines = [f"# {title}", "", *self._lines] if title and not self._has_heading else self._lines
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _hidden(attributes: dict[str, str | None]) -> bool:
    style = attributes.get("style") or ""
    return "hidden" in attributes or attributes.get("aria-hidden") == "true" or bool(_NO_STYLE.search(style))
