"""Cuts a long text at its paragraphs. Pure, and light enough for the parser's process."""

import re
from collections.abc import Iterator

# Where a piece may end, best first: after a blank line, a line, a sentence, a word.
_EDGES = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?。！？]\s"), re.compile(r"\s"))


def cuts(text: str, limit: int) -> Iterator[tuple[int, int]]:
    """`(start, end)` of the whole text in order, without gap or overlap, in pieces of at most `limit` characters, each
    cut at the best edge of its second half."""
    start = 0
    while len(text) - start > limit:
        end = _edge(text, start, limit)
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


def _edge(text: str, start: int, limit: int) -> int:
    for edge in _EDGES:
        ends = [match.end() for match in edge.finditer(text, start + limit // 2, start + limit)]
        if ends:
            return ends[-1]
    return start + limit
