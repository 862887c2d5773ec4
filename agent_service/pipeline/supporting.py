"""Whether passages support what a sentence states, and by which of their sentences.

Compared are words (light stems; pairs of characters where a script puts no spaces) weighted by how rare they are in the
passages, and what must not differ: numbers, names, denials and opposites. It is a comparison of words: a sentence that
says the same in entirely other words is not recognised, nor is one that joins the right words in the wrong way.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agent_service.contract import Passage
from agent_service.pipeline.claims import Claim, claim_of, clauses, names_in, states_nothing
from agent_service.pipeline.figures import figures
from agent_service.pipeline.languages import language_of
from agent_service.pipeline.polarity import Denials, contradicts, denials, opposed
from agent_service.pipeline.sentences import LONGEST, Span, sentence_spans
from agent_service.pipeline.terms import idf, is_unspaced, terms_of, words_of

SUPPORTED = 0.6
UNSPACED_SUPPORTED = 0.6
"""Pairs of characters overlap by chance."""
STANDS = 0.4
"""What a further marker of a supported sentence needs."""
CONFLICT = 0.3
"""What is left of the score where a number, a name or a denial differs."""
NEARLY_ALL = 0.75
"""A sentence that has so much of another and still differs from it is no sum of several others."""
CONTEXT = 0.5
"""What a word counts that stands not in the sentence but before it in its passage."""
TITLE = 0.75
"""The same for the title: what a document is about need not be repeated in it."""
NEWS_CONTEXT = 0.25
"""The same for a word that the question does not have: what an answer adds has to stand in the sentence itself."""
RELATED = 0.8
"""What a word counts of which the sentence has another form: govern, government."""
ASKED = 0.5
"""What a word weighs that only repeats the question."""
NAME = 1.5
FEWEST_IN_CLAUSE = 2
"""Words and numbers."""
FEWEST_ANCHORS = 2
SHORTEST_RELATED = 5
BEGIN = 4
SURE = 0.95
"""Where all passages that a sentence names give this much, no other is looked at."""
TRIED = 4
"""Sentences of a passage that are looked at closely."""
CACHED_LENGTH = 4_000
CACHED_TEXTS = 512
_PRONOUNS_WORDS = """
    he she it they his her hers its their theirs him them this these that those who which whose er sie es sein
    seine seinen seiner seinem ihr ihre ihren ihrer ihrem dieser diese dieses diesem diesen deren dessen
    il elle ils elles son sa ses leur leurs ce cette ces qui lui él ella ellos ellas su sus este esta estos estas
    cuyo cuya lo egli lei essi loro suo sua suoi sue questo questa lui esso essa ele ela eles elas seu sua seus suas
    este esta isto hij zij ze zijn haar hun deze dit он она оно они его её ее их этот эта это эти
    """
_PRONOUNS = frozenset(_PRONOUNS_WORDS.split())


@dataclass(frozen=True, slots=True)
class Support:
    """`start` and `end` in the text of the passage that `marker` names; score 0 to 1."""

    marker: int
    start: int
    end: int
    score: float
    holds: bool
    denied: bool = False
    """Says nearly the same, with another number, name or sense."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by` names the passages that support a sentence, best first; `score` is the nearest one's where none does."""

    claim: bool
    supported: bool
    score: float
    by: Sequence[Support] = ()


@dataclass(frozen=True, slots=True)
class _Text:
    spans: Sequence[Span]
    terms: Sequence[frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What must not differ, of one sentence of a passage."""

    numbers: frozenset[str]
    denials: Denials
    words: frozenset[str]
    names: frozenset[str]
    begins: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A claim with what each of its terms weighs."""

    claim: Claim
    weights: dict[str, float]
    figure: float
    whole: float
    least: float


class Sources:
    """The passages of one answer, read once. Markers are their places, from 1."""

    def __init__(self, passages: Sequence[Passage], question: str = "") -> None:
        self._passages = passages
        self._texts = [_read(passage.text) for passage in passages]
        self._titles = [frozenset(terms_of(passage.title)) for passage in passages]
        self._of: list[tuple[int, int]] = []
        self._postings: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self._texts):
            for at, terms in enumerate(text.terms):
                for term in terms:
                    self._postings[term].append(len(self._of))
                self._of.append((number, at))
        self._firsts = {number: place for place, (number, at) in reversed(list(enumerate(self._of))) if at == 0}
        self._asked = frozenset(terms_of(question))
        self._known = self._asked.union(self._postings, *self._titles)
        self._found = self._known - self._asked
        self._asked_numbers = frozenset(reading for figure in figures(question) for reading in figure)
        self._facts: dict[int, _Facts] = {}
        self._before: dict[int, frozenset[str]] = {}
        self._numbers: frozenset[str] | None = None
        self._languages: dict[int, str] = {}

    def check(self, sentence: str, markers: Iterable[int] = ()) -> Verdict:
        """What supports a sentence, given without its markers: first the passages that its markers name, then any."""
        own = dict.fromkeys(marker for marker in markers if 1 <= marker <= len(self._passages))
        claim = claim_of(sentence)
        if states_nothing(sentence, claim, self._known, self._all_numbers):
            return Verdict(claim=False, supported=False, score=0.0, by=self._near(claim, own))
        found = self._supports(claim, own)
        if not any(support.holds or support.denied for support in found):
            found = self._by_clauses(sentence, claim, own) or found
        if not any(support.holds for support in found):
            found = self._across_languages(claim, own) or found
        return _verdict(found, own)

    def nearest(self, marker: int) -> Span:
        """Of a passage to which nothing can be compared: its first sentence."""
        return self._texts[marker - 1].spans[0]

    def _near(self, claim: Claim, own: Iterable[int]) -> Sequence[Support]:
        """What stands behind the markers of a sentence that states nothing, such as a heading."""
        wanted = set(own)
        return [support for support in self._supports(claim, own) if support.marker in wanted and support.score > 0]

    def _supports(self, claim: Claim, own: Iterable[int]) -> list[Support]:
        """The best sentence of each passage that is worth a closer look, best first."""
        weighed = self._weighed(claim)
        if weighed.whole <= 0:
            return []
        best: dict[int, Support] = {}
        waiting = set(own)
        for place in _worth_a_look(self._ranked(weighed), self._of, {marker - 1 for marker in own}):
            support = self._compared(weighed, place)
            known = best.setdefault(support.marker, support)
            if (support.holds, support.score) > (known.holds, known.score):
                best[support.marker] = support
            if support.score >= SURE and support.marker in waiting:
                waiting.remove(support.marker)
                if not waiting:
                    break
        return sorted(best.values(), key=lambda support: (not support.holds, -support.score, support.marker))

    def _ranked(self, weighed: _Weighed) -> list[int]:
        """Sentences that have anything of a claim, most first."""
        scores: dict[int, float] = defaultdict(float)
        for term, weight in weighed.weights.items():
            for place in self._postings.get(term, ()):
                scores[place] += weight
        for word in filter(str.isdecimal, weighed.claim.words):
            for place in self._postings.get(word, ()):
                scores[place] += weighed.figure
        return sorted(scores, key=lambda place: (-scores[place], place))

    def _weighed(self, claim: Claim) -> _Weighed:
        count = len(self._of)
        weights: dict[str, float] = {}
        for term, name in claim.terms.items():
            known = len(self._postings.get(term, ()))
            weight = idf(count, known) * (NAME if name or term == claim.first else 1.0)
            weights[term] = weight * ASKED if not known and not name and term in self._asked else weight
        figure = idf(count, min(1, count))
        unspaced = sum(is_unspaced(term) for term in claim.terms)
        least = UNSPACED_SUPPORTED if unspaced * 2 > len(claim.terms) else SUPPORTED
        return _Weighed(claim, weights, figure, sum(weights.values()) + figure * len(claim.figures), least)

    def _compared(self, weighed: _Weighed, place: int) -> Support:
        number, at = self._of[place]
        terms, before = self._texts[number].terms[at], self._before_of(place)
        facts = self._facts_of(place)
        got = new = news = 0.0
        for term, weight in weighed.weights.items():
            share = self._share(term, number, terms, before, facts)
            got += weight * share
            if term not in self._asked:
                news += weight
                new += weight * (share if share != CONTEXT or weighed.claim.terms[term] else NEWS_CONTEXT)
        for figure in weighed.claim.figures:
            stands = weighed.figure * (not figure.isdisjoint(facts.numbers))
            got, new, news = got + stands, new + stands, news + weighed.figure
        score = min(1.0, got / weighed.whole)
        score = min(score, new / news) if news else score
        conflict = self._conflict(weighed.claim, place, terms, before)
        start, end = self._texts[number].spans[at]
        if conflict:
            return Support(number + 1, start, end, score * CONFLICT, holds=False, denied=score >= NEARLY_ALL)
        return Support(number + 1, start, end, score, holds=score >= weighed.least)

    def _share(self, term: str, number: int, terms: frozenset[str], before: frozenset[str], facts: _Facts) -> float:
        if term in terms:
            return 1.0
        if _related(term, facts.begins):
            return RELATED
        if term in self._titles[number]:
            return TITLE
        return CONTEXT if term in before else 0.0

    def _conflict(self, claim: Claim, place: int, terms: frozenset[str], before: frozenset[str]) -> bool:
        facts = self._facts_of(place)
        if any(figure.isdisjoint(facts.numbers) for figure in claim.figures):
            return True
        if opposed(claim.words, facts.words):
            return True
        if contradicts(claim.denials, frozenset(claim.terms), facts.denials, terms):
            return True
        missing = [name for name, is_name in claim.terms.items() if is_name and name not in terms]
        missing = [name for name in missing if not _related(name, facts.begins)]
        return any(not self._meant(name, claim, place, before) for name in missing)

    def _meant(self, name: str, claim: Claim, place: int, before: frozenset[str]) -> bool:
        """Whether a sentence speaks of whom it does not name: the document's subject, or one named before it and
        meant by a pronoun, or by nothing, where it names nobody else.
        """
        if name in self._titles[self._of[place][0]]:
            return True
        if name not in before and not (name in self._asked and name in self._found):
            return False
        facts = self._facts_of(place)
        return not facts.words.isdisjoint(_PRONOUNS) or facts.names <= claim.terms.keys()

    def _by_clauses(self, sentence: str, claim: Claim, own: Iterable[int]) -> list[Support]:
        """For a sentence that joins what several sentences say: each of its parts has to stand."""
        units = _units(sentence, claim)
        if len(units) < FEWEST_IN_CLAUSE:
            return []
        best: dict[int, Support] = {}
        least = 1.0
        for unit in units:
            found = [support for support in self._supports(unit, own) if support.holds]
            wanted = [support for support in found if support.marker in set(own)] or found[:1]
            if not wanted:
                return []
            least = min(least, wanted[0].score)
            for support in wanted:
                known = best.setdefault(support.marker, support)
                if support.score > known.score:
                    best[support.marker] = support
        return [
            Support(one.marker, one.start, one.end, min(one.score, least), holds=True)
            for one in sorted(best.values(), key=lambda support: -support.score)
        ]

    def _across_languages(self, claim: Claim, own: Iterable[int]) -> list[Support]:
        """Between languages only numbers and names can be compared: two at least, and all of them."""
        names = claim.names
        if len(names) + len(claim.figures) < FEWEST_ANCHORS:
            return []
        anchors = Claim(dict.fromkeys(names, True), claim.words, claim.figures, [], claim.language)
        return [
            support
            for support in self._supports(anchors, own)
            if support.holds and self._language_of(support.marker - 1) != claim.language
        ]

    def _language_of(self, number: int) -> str:
        if number not in self._languages:
            self._languages[number] = language_of(words_of(self._passages[number].text[:2_000]))
        return self._languages[number]

    def _facts_of(self, place: int) -> _Facts:
        if place not in self._facts:
            number, at = self._of[place]
            start, end = self._texts[number].spans[at]
            self._facts[place] = _facts_in(self._passages[number].text[start:end], self._texts[number].terms[at])
        return self._facts[place]

    def _before_of(self, place: int) -> frozenset[str]:
        """The terms of the passage up to this sentence."""
        if place not in self._before:
            number, at = self._of[place]
            self._before[place] = frozenset().union(*self._texts[number].terms[:at])
        return self._before[place]

    def _all_numbers(self) -> frozenset[str]:
        if self._numbers is None:
            found = (figure for passage in self._passages for figure in figures(passage.text))
            self._numbers = self._asked_numbers.union(*found)
        return self._numbers


def _verdict(found: Sequence[Support], own: Iterable[int]) -> Verdict:
    wanted = set(own)
    holding = [support for support in found if support.holds]
    if not holding:
        return Verdict(claim=True, supported=False, score=_rounded(max((one.score for one in found), default=0.0)))
    named = [support for support in holding if support.marker in wanted]
    if not named:
        return Verdict(claim=True, supported=True, score=_rounded(holding[0].score), by=holding[:1])
    standing = [one for one in found if one.marker in wanted and not one.holds and one.score >= STANDS]
    return Verdict(claim=True, supported=True, score=_rounded(named[0].score), by=[*named, *standing])


def _rounded(score: float) -> float:
    return round(score, 4)


def _worth_a_look(ranked: Sequence[int], of: Sequence[tuple[int, int]], own: set[int]) -> list[int]:
    """The best of each marked passage, and the best of all."""
    looked: dict[int, int] = defaultdict(int)
    worth: list[int] = []
    for rank, place in enumerate(ranked):
        number = of[place][0]
        if rank < TRIED or (number in own and looked[number] < TRIED):
            looked[number] += 1
            worth.append(place)
    return worth


def _units(sentence: str, whole: Claim) -> list[Claim]:
    """Clauses joined until each says something."""
    units: list[Claim] = []
    held = ""
    for part in clauses(sentence):
        held = f"{held} {part}"
        claim = claim_of(held, whole)
        if len(claim.terms) + len(claim.figures) >= FEWEST_IN_CLAUSE:
            units.append(claim)
            held = ""
    if held and units:
        last = claim_of(held, whole)
        if last.terms or last.figures:
            return [*units, last]
    return units


def _related(term: str, begins: Mapping[str, Sequence[str]]) -> bool:
    """Another form of a word begins alike; short words and numbers do not count."""
    if len(term) < SHORTEST_RELATED or is_unspaced(term):
        return False
    begin = term[: max(BEGIN, len(term) - 2)]
    return any(other.startswith(begin) and len(other) - len(term) <= BEGIN for other in begins.get(term[:BEGIN], ()))


def _begins(terms: Iterable[str]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for term in terms:
        if len(term) >= SHORTEST_RELATED and term.isalpha():
            found[term[:BEGIN]].append(term)
    return found


def _read(text: str) -> _Text:
    return _read_and_kept(text) if len(text) <= CACHED_LENGTH else _read_anew(text)


def _read_anew(text: str) -> _Text:
    spans = sentence_spans(text) or [(0, min(len(text), LONGEST))]
    return _Text(spans, [frozenset(terms_of(text[start:end])) for start, end in spans])


_read_and_kept = lru_cache(CACHED_TEXTS)(_read_anew)
"""Good passages are found for many questions."""


def _facts_in(sentence: str, terms: frozenset[str]) -> _Facts:
    numbers = frozenset(reading for figure in figures(sentence) for reading in figure)
    words = frozenset(words_of(sentence))
    return _Facts(numbers, denials(sentence), words, frozenset(names_in(sentence)), _begins(terms))
