"""Under which headings a passage stands. Pure, and linear in the text: every line is looked at once."""

from collections.abc import Iterable, Iterator, Sequence

from backend.documents.chunking import Span

MAX_PATH_CHARS = 300
_MAX_HEADING_CHARS = 150
_DEEPEST = 6
_BETWEEN = " > "
_FENCES = ("```", "~~~")


def paths(pages: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[list[str]]:
    """For each passage of each page the headings above its first character, as "Chapter > Section", at most
    MAX_PATH_CHARS. Headings are Markdown's, `#` to `######` outside of fenced code, and go on over pages."""
    outline = _Outline()
    found = []
    for text, in_page in zip(pages, spans, strict=True):
        marks = outline.marks(text)
        found.append(list(_at(marks, in_page, before=next(marks)[1])))
    return found


def within(path: str, text: str, offset: int) -> str:
    """The headings above `offset` of a passage that begins under `path`.

    A path does not tell how deep its headings are: it ends with the one that the passage begins with, if it does begin
    with one, else it is taken to begin with a `#`.
    """
    if "#" not in text[:offset]:
        return path
    words = path.split(_BETWEEN) if path else []
    first = text.partition("\n")[0].lstrip(" ")
    marks = len(first) - len(first.lstrip("#"))
    begins = bool(marks and words) and _without_closing(first[marks:]) == words[-1]
    deeper = marks - len(words) if begins else 0
    outline = _Outline((number + deeper, heading) for number, heading in enumerate(words, start=1))
    return next(_at(outline.marks(text), [Span(offset, offset)], before=path))


def _at(marks: Iterator[tuple[int, str]], spans: Sequence[Span], *, before: str) -> Iterator[str]:
    """The path at each span's start; spans come in order. `marks` is used up, as the next page goes on from its end."""
    path = before
    coming = next(marks, None)
    for span in spans:
        while coming is not None and coming[0] <= span.start:
            path = coming[1]
            coming = next(marks, None)
        yield path
    for _ in marks:
        pass


class _Outline:
    """The headings that are open, from page to page."""

    def __init__(self, already_open: Iterable[tuple[int, str]] = ()) -> None:
        self._open = list(already_open)  # level, words; outermost first
        self._fence = ""

    def marks(self, text: str) -> Iterator[tuple[int, str]]:
        """`(offset, path from there on)`: first the path at the page's beginning, then one for each heading."""
        yield 0, self._path()
        if not self._fence and "#" not in text and not any(fence in text for fence in _FENCES):
            return
        start = 0
        for line in text.split("\n"):
            if self._takes(line):
                yield start, self._path()
            start += len(line) + 1

    def _takes(self, line: str) -> bool:
        """Whether the line changes the path."""
        mark = line[:4].lstrip(" ")[:1]
        if mark in ("`", "~"):
            self._fenced(line.strip())
            return False
        if mark != "#" or self._fence:
            return False
        line = line.lstrip(" ")
        level = len(line) - len(line.lstrip("#"))
        words = _without_closing(line[level:])
        if level > _DEEPEST or line[level : level + 1] not in (" ", "\t") or not words:
            return False
        self._open = [outer for outer in self._open if outer[0] < level] + [(level, words)]
        return True

    def _fenced(self, line: str) -> None:
        """Code begins with three or more of a sign, and ends with at least as many of it and nothing else."""
        if not self._fence:
            length = len(line) - len(line.lstrip(line[0]))
            self._fence = line[:length] if length >= len(_FENCES[0]) else ""
        elif line.startswith(self._fence) and not line.strip(self._fence[0]):
            self._fence = ""

    def _path(self) -> str:
        """The innermost headings tell more, so the outermost go where it gets too long."""
        words = [heading for _, heading in self._open]
        while len(path := _BETWEEN.join(words)) > MAX_PATH_CHARS:
            words.pop(0)
        return path


def _without_closing(words: str) -> str:
    """Markdown allows `## Heading ##`; the sign in "About C#" belongs to it."""
    words = words.strip()
    without = words.rstrip("#")
    if without == "" or without[-1].isspace():
        words = without.rstrip()
    return words[:_MAX_HEADING_CHARS]
