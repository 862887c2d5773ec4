"""An answer as it was shown, sentence by sentence: what supports each of them, and the quotes behind its markers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from agent_service.contract import MAX_EVIDENCE, MAX_SENTENCES, Citation, Evidence, Passage, Sentence
from agent_service.pipeline.citing import Mark
from agent_service.pipeline.claims import claim_spans
from agent_service.pipeline.sentences import Span
from agent_service.pipeline.supporting import Sources, Support, Verdict

_QUOTED_LINE = re.compile(r"^\s*[“„«\"](?P<words>.{8,4000})[”“»\"]\s*$")
_QUOTED_END = re.compile(r"[“„«\"](?P<words>[^“”„«»\"]{8,4000})[”“»\"]\s*$")
_MOSTLY = 0.6
"""Of a sentence: what it quotes word for word, so much of it that the quotation is what it states."""


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence: its place in the text without markers, and the markers that belong to it."""

    start: int
    end: int
    marks: Sequence[Mark]

    def moved(self, by: int) -> "Said":
        return Said(self.start + by, self.end + by, [(place + by, number) for place, number in self.marks])


@dataclass(frozen=True, slots=True)
class Checked:
    citations: list[Citation]
    sentences: list[Sentence]
    rejected: int


@dataclass
class Checking:
    """Collects the verdicts of sentences in the order in which they are shown."""

    passages: Sequence[Passage]
    _best: dict[int, Support] = field(default_factory=dict)
    _quoted: dict[int, Support] = field(default_factory=dict)
    _shown: list[int] = field(default_factory=list)
    _sentences: list[Sentence] = field(default_factory=list)

    def add(self, verdict: Verdict, span: Span, markers: Iterable[int], quoted: Iterable[Support] = ()) -> None:
        """`span` in the shown text; `markers` are those that it shows."""
        for support in quoted:
            self._quoted.setdefault(support.marker, support)
        for support in verdict.by:
            known = self._best.setdefault(support.marker, support)
            if support.score > known.score:
                self._best[support.marker] = support
        self._shown.extend(markers)
        if len(self._sentences) < MAX_SENTENCES:
            self._sentences.append(_sentence(verdict, span))

    def result(self) -> Checked:
        """Citations in the order of their markers in the text, then those that no marker shows."""
        behind = self._best | self._quoted
        order = [marker for marker in dict.fromkeys((*self._shown, *self._best)) if marker in behind]
        citations = [_citation(behind[marker], self.passages) for marker in order]
        return Checked(citations, self._sentences, sum(marker not in behind for marker in self._shown))


def checked(plain: str, marks: Sequence[Mark], sources: Sources, passages: Sequence[Passage]) -> Checked:
    """Of a whole answer, given as its text without markers and the places where they stand in it."""
    checking = Checking(passages)
    said = sentences_of(plain, marks)
    if not said:
        return Checked([], [], len(marks))
    shift = 0
    for place, one in enumerate(said):
        before, width = shift, sum(map(_width, one.marks))
        shift += width
        own = [number for _, number in one.marks]
        helping = own or _marks_ahead(plain, said, place)
        quoted = quotations(plain, one, passages)
        verdict = judged(sources, plain[one.start : one.end], one, helping)
        verdict = with_quotations(verdict, quoted, one.end - one.start)
        checking.add(verdict, (one.start + before, one.end + shift), own, quoted)
    return checking.result()


def sentences_of(plain: str, marks: Sequence[Mark]) -> list[Said]:
    """A marker belongs to the sentence that it stands in or behind; at the beginning of a line, to the one that it
    begins. Sentences take in the markers around them.
    """
    spans = claim_spans(plain)
    owned: list[list[Mark]] = [[] for _ in spans]
    at = 0
    for mark in marks:
        while at + 1 < len(spans) and _belongs_to_next(plain, mark[0], spans[at], spans[at + 1]):
            at += 1
        if spans:
            owned[at].append(mark)
    return [
        Said(min(start, *(place for place, _ in own), start), max(end, *(place for place, _ in own), end), own)
        for (start, end), own in zip(spans, owned, strict=True)
    ]


def _belongs_to_next(plain: str, place: int, span: Span, following: Span) -> bool:
    if place > following[0]:
        return True
    gap = plain[span[1] : place]
    return place >= span[1] and "\n" in gap and "\n" not in plain[place : following[0]]


def _width(mark: Mark) -> int:
    return len(f"[{mark[1]}]")


def _marks_ahead(plain: str, said: Sequence[Said], place: int) -> list[int]:
    """Of the next sentence in the same line that has markers: one often stands for several sentences."""
    for later in said[place + 1 :]:
        if "\n" in plain[said[place].end : later.start]:
            return []
        if later.marks:
            return [number for _, number in later.marks]
    return []


def judged(sources: Sources, text: str, said: Said, helping: Sequence[int]) -> Verdict:
    """A marker in the middle of a sentence stands for what is before it: where the whole is not supported, its parts
    are looked at, and all of them have to be.
    """
    verdict = sources.check(text, helping)
    if verdict.supported or not verdict.claim or not said.marks:
        return verdict
    parts = list(_between_marks(text, said))
    if len(parts) == 1:
        return verdict
    verdicts = [one for one in (sources.check(part, markers) for part, markers in parts) if one.claim]
    supported = bool(verdicts) and all(one.supported for one in verdicts)
    score = min((one.score for one in verdicts), default=verdict.score)
    return Verdict(claim=True, supported=supported, score=score, by=_merged(verdicts))


def _between_marks(text: str, said: Said) -> Iterator[tuple[str, list[int]]]:
    at = 0
    for place, marks in groupby(said.marks, key=lambda mark: mark[0] - said.start):
        yield text[at:place], [number for _, number in marks]
        at = place
    if any(letter.isalnum() for letter in text[at:]):
        yield text[at:], []


def _merged(verdicts: Iterable[Verdict]) -> list[Support]:
    best: dict[int, Support] = {}
    for support in (one for verdict in verdicts for one in verdict.by):
        known = best.setdefault(support.marker, support)
        if support.score > known.score:
            best[support.marker] = support
    return sorted(best.values(), key=lambda support: -support.score)


def quotations(plain: str, said: Said, passages: Sequence[Passage]) -> list[Support]:
    """What a sentence quotes in front of its markers and their passages hold, whatever its white space."""
    found: dict[int, Support] = {}
    for place, number in said.marks:
        if number in found:
            continue
        for words in _quoted_before(plain, place):
            if match := _occurrence(words, passages[number - 1].text):
                found[number] = Support(number, match.start(), match.end(), 1.0, holds=True)
                break
    return list(found.values())


def with_quotations(verdict: Verdict, quoted: Sequence[Support], length: int) -> Verdict:
    if not quoted:
        return verdict
    others = [support for support in verdict.by if support.marker not in {one.marker for one in quoted}]
    if verdict.supported:
        return replace(verdict, by=[*quoted, *others])
    if max(one.end - one.start for one in quoted) >= _MOSTLY * length:
        return Verdict(claim=True, supported=True, score=1.0, by=quoted)
    return verdict


def _quoted_before(plain: str, place: int) -> Iterator[str]:
    """What may be quoted in front of `place`: the whole line, which may hold quotation marks of its own, or its end."""
    line = plain[plain.rfind("\n", 0, place) + 1 : place]
    for form in (_QUOTED_LINE, _QUOTED_END):
        if match := form.search(line):
            yield match["words"]


def _occurrence(words: str, text: str) -> re.Match[str] | None:
    return re.search(r"\s+".join(re.escape(word) for word in words.split()), text)


def _sentence(verdict: Verdict, span: Span) -> Sentence:
    return Sentence(
        start=span[0],
        end=span[1],
        claim=verdict.claim,
        supported=verdict.supported,
        score=verdict.score,
        markers=[support.marker for support in verdict.by],
        evidence=[
            Evidence(marker=one.marker, start=one.start, end=one.end, score=round(one.score, 4))
            for one in verdict.by[:MAX_EVIDENCE]
        ],
    )


def _citation(support: Support, passages: Sequence[Passage]) -> Citation:
    passage = passages[support.marker - 1]
    return Citation(
        marker=support.marker,
        passage=passage.id,
        start=support.start,
        end=support.end,
        quote=passage.text[support.start : support.end],
        score=round(support.score, 4),
    )
