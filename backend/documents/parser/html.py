"""HTML to text: headings and tables as Markdown, without menus, scripts and what is hidden from a reader."""

import re

from backend.documents.parser.reading import Reading, in_sections
from backend.documents.parser.tags import VOID, scan
from backend.documents.parser.text import decode, decode_as

_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s{0,20}=[\s\"']{0,20}([A-Za-z0-9_-]{2,40})", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_SKIPPED = {
    "script", "style", "noscript", "template", "nav", "svg", "math", "iframe", "object", "canvas", "select", "button",
    "dialog",
}  # fmt: skip
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "dd", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "header", "hr", "html", "main", "ol", "p", "pre", "section", "table", "tbody", "tfoot",
    "thead", "tr", "ul",
}  # fmt: skip
_TITLE_CHARS = 1000
_NO_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def read(data: bytes) -> Reading:
    return in_sections(to_text(decoded(data)))


def to_text(markup: str) -> str:
    """What a reader of the page sees; its title comes first as a heading where the page has no `h1`."""
    reader = Reader()
    scan(markup, reader)
    return reader.result()


def decoded(data: bytes) -> str:
    """Text of a page's bytes: by their mark, else by what the page says of itself, else as `text.decode` does."""
    declared = _CHARSET.search(data[:4096])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        text = decode_as(data, declared.group(1).decode("ascii"))
        if text is not None:
            return text
    return decode(data)


class Reader:
    """Takes the events of `tags.scan`."""

    def __init__(self) -> None:
        self.title = ""
        self._lines: list[str] = []
        self._line: list[str] = []  # in pieces: a line may have as many as the file has tags
        self._in_title = False
        self._preformatted = 0
        self._skipping: list[str] = []  # the skipped element, and those of its name inside it
        self._has_heading = False

    def opened(self, tag: str, attributes: dict[str, str]) -> None:
        if self._skipping:
            if tag == self._skipping[0]:
                self._skipping.append(tag)
        elif tag in _SKIPPED or (tag not in VOID and _hidden(attributes)):
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
            self._line = [_HEADINGS[tag]]
            self._has_heading = self._has_heading or tag == "h1"
        elif tag == "li":
            self._line = ["- "]
        elif tag in ("td", "th") and self._line:
            self._line[-1] = self._line[-1].rstrip()
            self._line.append(" | ")
        elif tag == "pre":
            self._preformatted += 1
        elif tag == "p":
            self._lines.append("")

    def closed(self, tag: str) -> None:
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

    def text(self, data: str) -> None:
        if self._skipping:
            return
        if self._in_title:
            self.title = (self.title + data)[:_TITLE_CHARS]
        elif self._preformatted:
            *lines, rest = data.split("\n")
            for line in lines:
                self._lines.append("".join([*self._line, line]))
                self._line = []
            self._line.append(rest)
        else:
            text = _BLANKS.sub(" ", data)
            if not self._line or self._line[-1].endswith(" "):
                text = text.lstrip()
            if text:
                self._line.append(text)

    def _break(self) -> None:
        line = "".join(self._line)
        if line.strip():
            self._lines.append(line if self._preformatted else line.strip())
        self._line = []

    def result(self) -> str:
        self._break()
        title = _BLANKS.sub(" ", self.title).strip()
        lines = [f"# {title}", "", *self._lines] if title and not self._has_heading else self._lines
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _hidden(attributes: dict[str, str]) -> bool:
    style = attributes.get("style", "")
    return "hidden" in attributes or attributes.get("aria-hidden") == "true" or bool(_NO_STYLE.search(style))
