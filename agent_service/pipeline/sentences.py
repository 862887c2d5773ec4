"""Sentences of any language as spans of the text they stand in.

Only punctuation and line breaks are looked at, so that English, German, Arabic, Hindi and Chinese are cut by the same
rules.
"""

import re
from collections.abc import Iterator

Span = tuple[int, int]
"""Code points, start inclusive, end exclusive."""

LONGEST = 500
"""Spans longer than this are cut at line breaks, then at spaces: tables and lists have no full stops."""

_ENDS = re.compile(
    r"""
    (?<![.!?…]) [.!?…]++ ["'’”»)\]]*+ (?=\s)   # needs a space behind it: 3.5, example.org
    | [؟۔।॥] ["'’”»)\]]*+                       # Arabic, Urdu, Hindi
    | [。！？｡]++ [」』”’）]*+                   # Chinese and Japanese, without spaces
    | \n [^\S\n]*+ \n                          # an empty line
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'„“])(?:\w|\d{1,2}|[A-Za-zÄÖÜ]{1,4}\.\w|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|cf|ca|bzw|Nr|No|Fig|Abb|vol|pp|Inc|Ltd|Co|Corp|Gen|Col|approx)$"
)
_BREAKS = (re.compile(r"\n+"), re.compile(r"\s+"))
_LOOK_BACK = 12


def sentence_spans(text: str) -> list[Span]:
    """In order, without surrounding white space, none empty, none longer than LONGEST where there is any white space
    to cut at.
    """
    spans: list[Span] = []
    for start, end in _between_ends(text):
        spans.extend(_short_enough(text, start, end))
    return spans


def _between_ends(text: str) -> Iterator[Span]:
    start = 0
    for match in _ENDS.finditer(text):
        if _is_end(text, start, match):
            yield from _stripped(text, start, match.end())
            start = match.end()
    yield from _stripped(text, start, len(text))


def _is_end(text: str, start: int, match: re.Match[str]) -> bool:
    if match.group() != ".":
        return True
    following = text[match.end() : match.end() + 2].strip()
    if following and following[0].islower():
        return False
    return _ABBREVIATION.search(text[max(start, match.start() - _LOOK_BACK) : match.start()]) is None


def _short_enough(text: str, start: int, end: int, breaks: tuple[re.Pattern[str], ...] = _BREAKS) -> Iterator[Span]:
    if end - start <= LONGEST or not breaks:
        yield start, end
        return
    pieces = list(_pieces(text, start, end, breaks[0]))
    for left, right in _packed(pieces):
        yield from _short_enough(text, left, right, breaks[1:])


def _pieces(text: str, start: int, end: int, at: re.Pattern[str]) -> Iterator[Span]:
    for match in at.finditer(text, start, end):
        yield from _stripped(text, start, match.start())
        start = match.end()
    yield from _stripped(text, start, end)


def _packed(pieces: list[Span]) -> Iterator[Span]:
    """Neighbouring pieces joined as long as they stay short."""
    left, right = pieces[0]
    for start, end in pieces[1:]:
        if end - left > LONGEST:
            yield left, right
            left = start
        right = end
    yield left, right


def _stripped(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
