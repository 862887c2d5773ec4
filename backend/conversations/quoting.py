"""From what the agent cites in its passages to spans of stored pages, each checked."""

import re
from collections.abc import Iterable, Sequence
from uuid import UUID

from agent_service import contract
from backend.conversations.endings import CitedSpan
from backend.documents.passages import LivePassage

_MARKER = re.compile(r"\[(\d{1,3})\]")


def passages_for_prompt(passages: Sequence[LivePassage]) -> list[contract.Passage]:
    return [
        contract.Passage(id=passage.chunk_id, title=passage.document_title[:500], page=passage.page, text=passage.text)
        for passage in passages
    ]


def checked(citations: Iterable[contract.Citation], passages: Sequence[LivePassage]) -> tuple[list[CitedSpan], int]:
    """The spans whose quote stands in the stored text that their marker names, one a marker; and how many do not."""
    by_id: dict[UUID, tuple[int, LivePassage | None]] = {
        passage.chunk_id: (number, passage) for number, passage in enumerate(passages, start=1)
    }
    spans: dict[int, CitedSpan] = {}
    rejected = 0
    for citation in citations:
        number, passage = by_id.get(citation.passage, (0, None))
        if (
            passage is None
            or number != citation.marker
            or passage.text[citation.start : citation.end] != citation.quote
        ):
            rejected += 1
            continue
        spans.setdefault(citation.marker, _span(citation.marker, passage, citation.start, citation.end, citation.score))
    return [spans[marker] for marker in sorted(spans)], rejected


def whole_passages(text: str, passages: Sequence[LivePassage]) -> list[CitedSpan]:
    """For an answer that was stopped before its citations came: each shown marker opens its whole passage."""
    shown = {int(number) for number in _MARKER.findall(text)}
    return [span for span in whole(passages) if span.marker in shown]


def whole(passages: Sequence[LivePassage]) -> list[CitedSpan]:
    """Each passage from its first to its last character."""
    return [
        _span(number, passage, 0, len(passage.text), passage.score) for number, passage in enumerate(passages, start=1)
    ]


def without_markers(text: str, keep: Iterable[int] = ()) -> str:
    """`text` without the markers that nothing stands behind."""
    kept = set(keep)
    return _MARKER.sub(lambda match: match[0] if int(match[1]) in kept else "", text)


def _span(marker: int, passage: LivePassage, start: int, end: int, score: float) -> CitedSpan:
    return CitedSpan(
        marker=marker,
        version_id=passage.version_id,
        page=passage.page,
        start=passage.start + start,
        end=passage.start + end,
        quote=passage.text[start:end],
        score=score,
        heading=passage.heading,
    )
