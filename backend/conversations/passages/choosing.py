"""Which of the passages that were found go into an answer: no repetition, and where it is wanted, different ones."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.documents.passages import LivePassage

SAME = 0.9
"""Of the words of the shorter text, in their order: so many in another make it a repetition."""
OVERLAP = 0.5
"""Of the shorter of two passages of one page: more than so much in common makes it a repetition."""
LONGER = 1.2
"""Times the other: a text so much longer says more, and is none."""
SHINGLE = 4
_WORD = re.compile(r"\w+")
_FIGURES = re.compile(r"\d+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]{2,}"
)

Words = frozenset[str]


@dataclass(slots=True)
class _Text:
    """Two texts that differ in a figure alone say different things."""

    text: str
    figures: frozenset[str]
    _shingles: Words | None = None

    @property
    def shingles(self) -> Words:
        """Worked out where they are asked for: most texts differ in something that costs less."""
        if self._shingles is None:
            words = words_of(self.text)
            places = range(max(1, len(words) - SHINGLE + 1))
            self._shingles = frozenset(" ".join(words[at : at + SHINGLE]) for at in places)
        return self._shingles


def without_repetitions(passages: Iterable[LivePassage], *, limit: int) -> list[LivePassage]:
    """The first `limit` in their order, of several that say the same the first."""
    kept: list[tuple[LivePassage, _Text]] = []
    for passage in passages:
        if len(kept) == limit:
            break
        text = _Text(passage.text, frozenset(_FIGURES.findall(passage.text)))
        if not any(_overlaps(passage, one) or _repeats(text, other) for one, other in kept):
            kept.append((passage, text))
    return [passage for passage, _ in kept]


def diverse(passages: Sequence[LivePassage], *, weight: float, limit: int) -> list[LivePassage]:
    """Maximal marginal relevance (Carbonell and Goldstein, 1998) over the words that passages share: `weight` 1 is the
    order as it is; the less, the more a passage loses by what those before it have said."""
    if weight >= 1:
        return [*passages[:limit]]
    left = [(passage, frozenset(words_of(passage.text))) for passage in passages]
    chosen: list[tuple[LivePassage, Words]] = []
    while left and len(chosen) < limit:
        best = max(range(len(left)), key=lambda place: _worth(left[place], chosen, weight))
        chosen.append(left.pop(best))
    return [passage for passage, _ in chosen]


def words_of(text: str) -> list[str]:
    """Scripts without spaces give pairs of neighbouring characters."""
    words: list[str] = []
    for word in _WORD.findall(text.casefold()):
        words += _pairs(word) if _UNSPACED.search(word) else [word]
    return words


def _pairs(word: str) -> list[str]:
    return [word[at : at + 2] for at in range(len(word) - 1)]


def _worth(candidate: tuple[LivePassage, Words], chosen: Sequence[tuple[LivePassage, Words]], weight: float) -> float:
    passage, words = candidate
    nearest = max((_likeness(words, other) for _, other in chosen), default=0.0)
    return weight * passage.score - (1 - weight) * nearest


def _likeness(one: Words, other: Words) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def _repeats(one: _Text, other: _Text) -> bool:
    shorter, longer = sorted((len(one.text), len(other.text)))
    if one.figures != other.figures or longer > LONGER * shorter:
        return False
    if one.text == other.text:
        return True
    fewer = min(len(one.shingles), len(other.shingles))
    return len(one.shingles & other.shingles) >= SAME * fewer


def _overlaps(one: LivePassage, other: LivePassage) -> bool:
    if (one.version_id, one.page) != (other.version_id, other.page):
        return False
    common = min(one.end, other.end) - max(one.start, other.start)
    return common > OVERLAP * min(one.end - one.start, other.end - other.start)
