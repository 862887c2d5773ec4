"""Cuts a page's text into passages. Pure: the same text and settings give the same spans in every process."""

from dataclasses import dataclass
from functools import lru_cache

from semantic_text_splitter import TextSplitter

from backend.documents.sections import cuts

CHUNKER_VERSION = 1

# The splitter takes time that grows with the square of a text without structure (10 MB of one word: 205 s), so it is
# given windows of bounded size; cut at 16,000 characters the same text takes 0.7 s.
WINDOW_CHARS = 16_000
MIN_CHUNK_CHARS = 50
MAX_CHUNK_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of the text it was cut from."""

    start: int
    end: int


def chunk_spans(text: str, *, chunk_chars: int, overlap: int) -> list[Span]:
    """Passages of at most `chunk_chars` characters, whole sentences where they fit, in order, with something visible in
    each. `overlap` is at most how far one reaches back into the one before; half a passage at most."""
    chunk_chars = min(max(chunk_chars, MIN_CHUNK_CHARS), MAX_CHUNK_CHARS)
    splitter = _splitter(chunk_chars, min(overlap, chunk_chars // 2))
    return [
        Span(window + start, window + start + len(piece))
        for window, end in cuts(text, WINDOW_CHARS)
        for start, piece in splitter.chunk_indices(text[window:end])
        if visible(piece)
    ]


def visible(text: str) -> bool:
    """Whether there is anything to read: a text of blanks and invisible characters has no meaning to search for."""
    return any(char.isprintable() and not char.isspace() for char in text)


@lru_cache(maxsize=32)
def _splitter(chunk_chars: int, overlap: int) -> TextSplitter:
    return TextSplitter(chunk_chars, overlap=overlap)
