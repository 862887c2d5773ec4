"""Markers `[n]` in a streamed answer, and the quotes that stand behind them.

A marker is shown only where passage n exists; all others are taken out and counted. Nothing is renumbered, but `[1,
2]`, `[1-3]`, `【1】` and digits of other scripts are written `[1][2]`, so that a reader of the text needs to know one
form only.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent_service.contract import Citation, Passage
from agent_service.pipeline.sentences import LONGEST, Span, sentence_spans
from agent_service.pipeline.terms import overlap, terms_of, weights

_OPEN = re.compile(r"[\[【［]")
_CLOSE = "]】］"
_BETWEEN = " ,;、،，-–"
_GROUP = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")
_BRACKETED = re.compile(r"[\[【［]([ ,;、،，–-]*\d[\d ,;、،，–-]*)[\]】］]")
_QUOTED_LINE = re.compile(r"^\s*[“„«\"](?P<words>.{8,4000})[”“»\"]\s*$")
_QUOTED_END = re.compile(r"[“„«\"](?P<words>[^“”„«»\"]{8,4000})[”“»\"]\s*$")
_LONGEST_NUMBER = 6
_LARGEST_RANGE = 50


def without_markers(text: str) -> str:
    """For text that is quoted inside an answer: its own `[3]` would be taken for one of ours."""
    return _BRACKETED.sub(r"(\1)", text)


@dataclass(slots=True)
class MarkerFilter:
    """Fed an answer piece by piece, gives back what may be shown; a bracket that may still become a marker is held
    back.

    `plain` is the shown text without its markers, `marks` the places in it where a marker stands, `rejected` how many
    were taken out.
    """

    passages: int
    marks: list[tuple[int, int]] = field(default_factory=list)
    rejected: int = 0
    _plain: list[str] = field(default_factory=list)
    _length: int = 0
    _space: str = ""
    _gap: bool = False
    _held: list[str] = field(default_factory=list)

    @property
    def plain(self) -> str:
        return "".join(self._plain)

    def feed(self, text: str) -> str:
        return "".join(self._read(text))

    def flush(self) -> str:
        """What was held back; an answer does not end in white space."""
        held, self._held = "".join(self._held), []
        return self._shown(held) if held else ""

    def _read(self, text: str) -> Iterator[str]:
        at = 0
        while at < len(text):
            if self._held:
                yield self._continue(text[at])
                at += 1
                continue
            opening = _OPEN.search(text, at)
            end = opening.start() if opening else len(text)
            yield self._shown(text[at:end])
            if opening:
                self._held.append(opening.group())
                end += 1
            at = end

    def _continue(self, character: str) -> str:
        if character.isdecimal() or character in _BETWEEN:
            self._held.append(character)
            return ""
        held, self._held = "".join(self._held), []
        if character in _CLOSE and any(known.isdecimal() for known in held):
            return self._resolved(held[1:])
        if _OPEN.match(character):
            self._held.append(character)
            return self._shown(held)
        return self._shown(held + character)

    def _resolved(self, group: str) -> str:
        numbers = list(_numbers(group))
        valid = [number for number in dict.fromkeys(numbers) if 1 <= number <= self.passages]
        self.rejected += sum(not 1 <= number <= self.passages for number in numbers)
        if not valid:
            self._gap = bool(self._space)
            return ""
        space, self._space = self._space, ""
        self._note(space)
        self.marks.extend((self._length, number) for number in valid)
        return space + "".join(f"[{number}]" for number in valid)

    def _shown(self, text: str) -> str:
        """White space waits for what follows: a marker that is taken out leaves neither two spaces nor one before a
        full stop.
        """
        solid = text.rstrip()
        if not solid:
            self._space += "" if self._gap else text
            return ""
        space = "" if self._gap and not solid[0].isalnum() else self._space
        self._gap = False
        self._space = text[len(solid) :]
        self._note(space + solid)
        return space + solid

    def _note(self, text: str) -> None:
        self._plain.append(text)
        self._length += len(text)


def _numbers(group: str) -> Iterator[int]:
    for match in _GROUP.finditer(group):
        first, last = _number(match[1]), _number(match[2] or match[1])
        if first < last <= first + _LARGEST_RANGE:
            yield from range(first, last + 1)
        else:
            yield from (first, last) if match[2] else (first,)


def _number(digits: str) -> int:
    """0, which names no passage, for numbers too long to be read."""
    digits = digits.lstrip("0")
    return int(digits) if 0 < len(digits) <= _LONGEST_NUMBER else 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    span: Span
    terms: frozenset[str]


def citations(plain: str, marks: Sequence[tuple[int, int]], passages: Sequence[Passage]) -> list[Citation]:
    """One for each marker in the order of first appearance: what the answer quotes word for word in front of it, else
    the sentence of its passage that best supports what carries the marker.
    """
    carried = _carried(plain, marks)
    candidates = {number: _candidates(passages[number - 1].text) for number in carried}
    weight = weights([candidate.terms for known in candidates.values() for candidate in known])
    quoted = _quoted(plain, marks, passages)
    return [
        quoted.get(number) or _citation(number, passages[number - 1], terms, candidates[number], weight)
        for number, terms in carried.items()
    ]


def _quoted(plain: str, marks: Sequence[tuple[int, int]], passages: Sequence[Passage]) -> dict[int, Citation]:
    """The citations of markers that stand behind a quotation which their passage holds, whatever its white space."""
    found: dict[int, Citation] = {}
    for place, number in marks:
        passage = passages[number - 1]
        matches = (_occurrence(words, passage.text) for words in _quotations(plain, place))
        match = next((match for match in matches if match), None)
        if match and number not in found:
            start, end = match.span()
            found[number] = Citation(marker=number, passage=passage.id, start=start, end=end, quote=match[0], score=1.0)
    return found


def _quotations(plain: str, place: int) -> Iterator[str]:
    """What may be quoted in front of `place`: the whole line, which may hold quotation marks of its own, or its end."""
    line = plain[plain.rfind("\n", 0, place) + 1 : place]
    for form in (_QUOTED_LINE, _QUOTED_END):
        if match := form.search(line):
            yield match["words"]


def _occurrence(words: str, text: str) -> re.Match[str] | None:
    return re.search(r"\s+".join(re.escape(word) for word in words.split()), text)


def _carried(plain: str, marks: Sequence[tuple[int, int]]) -> dict[int, set[str]]:
    """The terms of the sentences that carry each marker. A marker behind a full stop belongs to the sentence before
    it.
    """
    spans = sentence_spans(plain)
    carried: dict[int, set[str]] = {}
    for place, number in marks:
        before = [span for span in spans if span[0] < place]
        start, end = before[-1] if before else (0, 0)
        carried.setdefault(number, set()).update(terms_of(plain[start:end]))
    return carried


def _candidates(text: str) -> list[_Candidate]:
    spans = sentence_spans(text) or [(0, min(len(text), LONGEST))]
    return [_Candidate((start, end), frozenset(terms_of(text[start:end]))) for start, end in spans]


def _citation(
    number: int, passage: Passage, terms: set[str], candidates: Sequence[_Candidate], weight: dict[str, float]
) -> Citation:
    known = {term: weight[term] for term in terms if term in weight}
    # Of equal support the shortest sentence: the others say more than was asked.
    best = max(candidates, key=lambda one: (overlap(known, one.terms, known), -len(one.terms)))
    start, end = best.span
    score = overlap(terms, best.terms, {term: known.get(term, 1.0) for term in terms})
    return Citation(
        marker=number, passage=passage.id, start=start, end=end, quote=passage.text[start:end], score=round(score, 4)
    )
