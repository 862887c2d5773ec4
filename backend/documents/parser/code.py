"""Source code, as it is, in pages of whole lines that tell their numbers."""

from collections.abc import Iterator

from backend.documents.parser.reading import SECTION_CHARS, ParsedPage, Reading, collected, parts
from backend.documents.parser.text import decode

_PAGE_LINES = 200


def read(data: bytes) -> Reading:
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    return collected(numbered_lines(text.split("\n")))


def numbered_lines(lines: list[str]) -> Iterator[ParsedPage]:
    """Pages of at most 200 lines and SECTION_CHARS; a longer line gets pages of its own."""
    held: list[str] = []
    first, chars = 1, 0
    for number, line in enumerate(lines, 1):
        if held and (len(held) == _PAGE_LINES or chars + len(line) >= SECTION_CHARS):
            yield from _page(first, held)
            first, held, chars = number, [], 0
        held.append(line)
        chars += len(line) + 1
    yield from _page(first, held)


def _page(first: int, lines: list[str]) -> Iterator[ParsedPage]:
    last = first + len(lines) - 1
    return parts(f"Lines {first}-{last}" if last > first else f"Line {first}", "\n".join(lines))
