"""From what the agent cites in its passages to spans of stored pages, each checked."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent_service import contract
from backend.conversations.answers.endings import CitedSpan
from backend.documents import headings
from backend.documents.passages import LivePassage

_MARKER = re.compile(r"\[(\d{1,3})\]")
_CODE = re.compile(r"^[ \t]*```.*?(?:^[ \t]*```|\Z)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
"""`values[1]` in code is no marker."""


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
        spans.setdefault(
            citation.marker, span_of(citation.marker, passage, citation.start, citation.end, citation.score)
        )
    return [spans[marker] for marker in sorted(spans)], rejected


def whole_passages(text: str, passages: Sequence[LivePassage]) -> list[CitedSpan]:
    """For an answer that was stopped before its citations came: each shown marker opens its whole passage."""
    shown = {int(number) for number in _MARKER.findall(text)}
    return [span for span in whole(passages) if span.marker in shown]


def whole(passages: Sequence[LivePassage]) -> list[CitedSpan]:
    """Each passage from its first to its last character."""
    return [
        span_of(number, passage, 0, len(passage.text), passage.score)
        for number, passage in enumerate(passages, start=1)
    ]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A text with pieces cut out; `cuts` are where they were in the text as it had been."""

    text: str
    cuts: tuple[tuple[int, int], ...]

    def moved(self, offset: int) -> int:
        """Where that place of the text is now; what was inside of a cut is where the cut was."""
        return offset - sum(min(offset, end) - start for start, end in self.cuts if start < offset)


def trimmed(text: str, keep: Iterable[int] = ()) -> Trimmed:
    """`text` without the markers that nothing stands behind."""
    kept = set(keep)
    code = [match.span() for match in _CODE.finditer(text)]
    cuts = tuple(
        match.span()
        for match in _MARKER.finditer(text)
        if int(match[1]) not in kept and not any(start < match.start() < end for start, end in code)
    )
    pieces, place = [], 0
    for start, end in cuts:
        pieces.append(text[place:start])
        place = end
    return Trimmed("".join([*pieces, text[place:]]), cuts)


def without_markers(text: str, keep: Iterable[int] = ()) -> str:
    return trimmed(text, keep).text


def supported(
    sentences: Iterable[contract.Sentence], text: Trimmed, passages: Sequence[LivePassage], cited: Iterable[int]
) -> list[dict[str, Any]]:
    """What supports each sentence of the text as it is now, in places of stored pages; what does not hold is dropped.

    `start` and `end` are places in the text, those of `evidence` places in the page of the passage that its marker
    names.
    """
    known = set(cited)
    shown: list[dict[str, Any]] = []
    end_before = 0
    for sentence in sentences:
        start, end = text.moved(sentence.start), text.moved(sentence.end)
        if not end_before <= start < end <= len(text.text):
            continue
        end_before = end
        markers = [marker for marker in sentence.markers if marker in known]
        evidence = [
            _evidence(one, passages[one.marker - 1]) for one in sentence.evidence if _holds(one, passages, known)
        ]
        supported = sentence.supported and bool(markers)
        shown.append(
            {
                "start": start,
                "end": end,
                "claim": sentence.claim,
                "supported": supported,
                "score": round(sentence.score, 4),
                "markers": markers,
                "evidence": evidence,
            }
        )
    return shown


def _holds(evidence: contract.Evidence, passages: Sequence[LivePassage], known: set[int]) -> bool:
    """Whether it is a place in a passage that is cited."""
    if evidence.marker not in known or evidence.marker > len(passages):
        return False
    return evidence.start < evidence.end <= len(passages[evidence.marker - 1].text)


def _evidence(evidence: contract.Evidence, passage: LivePassage) -> dict[str, Any]:
    return {
        "marker": evidence.marker,
        "start": passage.start + evidence.start,
        "end": passage.start + evidence.end,
        "score": round(evidence.score, 4),
    }


def span_of(marker: int, passage: LivePassage, start: int, end: int, score: float) -> CitedSpan:
    return CitedSpan(
        marker=marker,
        version_id=passage.version_id,
        page=passage.page,
        start=passage.start + start,
        end=passage.start + end,
        quote=passage.text[start:end],
        score=score,
        heading=headings.within(passage.heading, passage.text, start),
    )
