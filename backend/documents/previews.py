"""What other chunk settings would make of a document: from its stored pages, and nothing of it is stored."""

from dataclasses import dataclass

from backend.documents.chunking import chunk_spans
from backend.documents.models import DocumentVersion, Page

CHARS = 1_000_000
"""As much text is divided for a preview; a request is no place for more."""
SHOWN = 50


@dataclass(frozen=True, slots=True)
class PreviewPassage:
    page: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """`chars` of the text's `total_chars` were divided, into `count` passages, of which `passages` are the first."""

    chars: int
    total_chars: int
    count: int
    shortest: int
    longest: int
    passages: list[PreviewPassage]


def preview(*, version: DocumentVersion, chunk_chars: int, chunk_overlap: int) -> Preview:
    """Reads page after page, so memory holds one."""
    chars = 0
    lengths: list[int] = []
    passages: list[PreviewPassage] = []
    pages = Page.objects.filter(version=version, number__lte=version.page_count).order_by("number")
    for number, stored in pages.values_list("number", "text").iterator(chunk_size=20):
        text = stored[: CHARS - chars]
        chars += len(text)
        for span in chunk_spans(text, chunk_chars=chunk_chars, overlap=chunk_overlap):
            lengths.append(span.end - span.start)
            if len(passages) < SHOWN:
                passages.append(PreviewPassage(number, span.start, span.end, text[span.start : span.end]))
        if chars >= CHARS:
            break
    return Preview(
        chars=chars,
        total_chars=version.char_count,
        count=len(lengths),
        shortest=min(lengths, default=0),
        longest=max(lengths, default=0),
        passages=passages,
    )
