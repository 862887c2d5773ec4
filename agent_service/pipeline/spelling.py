"""A misspelt word of a question, as one that the documents have: one letter is missing, too many, another one, or has
changed places with its neighbour. The first letter is nearly always right.

The index keeps no words, only their numbers. So the forms that may have been meant are made here, and looked up.
"""

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from functools import cache
from string import ascii_lowercase

from agent_service.pipeline.languages import STOPS, language_of
from agent_service.pipeline.lexical import LONGEST_STEMMED, number_of, numbers_of, stem
from agent_service.pipeline.terms import is_unspaced, words_of

SHORTEST = 5
"""Letters of a word that is looked for: of a shorter one too many others are one letter away."""
SHORTEST_JOINING = 3
"""Of one that may be a joining word ("teh")."""
SHORTEST_REPLACED = 8
"""Of one that may have another letter in the place of one of its own: in a shorter one that makes another word."""
MOST_WORDS = 4
"""Of a question, that are unknown: one with more is about something else."""

Counts = Callable[[Sequence[int]], Awaitable[Mapping[int, int]]]
"""In how many chunks each of these terms is."""


async def respelled(question: str, languages: Sequence[str], missing: frozenset[int], counts: Counts) -> str:
    """The question as it was probably meant, or as it is. `missing` are its terms that no chunk has."""
    words = words_of(question)
    own = language_of(words, likely=languages, fewest=1)
    unknown = [word for word in dict.fromkeys(words) if _is_unknown(word, own, languages, missing)]
    if not 0 < len(unknown) <= MOST_WORDS:
        return question
    meant = {word: joining for word in unknown if (joining := joining_meant(word, own))}
    forms = {word: _forms(word, languages) for word in unknown if word not in meant and len(word) >= SHORTEST}
    numbers = {form: number_of(form) for these in forms.values() for form in these}
    found = await counts(list(dict.fromkeys(numbers.values()))) if numbers else {}
    for word, these in forms.items():
        known = [form for form in these if numbers[form] in found]
        if known:
            meant[word] = min(known, key=lambda form: (these[form], -found[numbers[form]]))
    return " ".join(meant.get(word, word) for word in words) if meant else question


def near(word: str, letters: str) -> dict[str, int]:
    """All that are one slip away, each with its rank: slips of a lower one are more often made."""
    found: dict[str, int] = {}
    places = range(1, len(word))
    for at in places[:-1]:
        found.setdefault(word[:at] + word[at + 1] + word[at] + word[at + 2 :], 0)
    for at in (*places, len(word)):
        for letter in letters:
            found.setdefault(word[:at] + letter + word[at:], 1)
    for at in places:
        found.setdefault(word[:at] + word[at + 1 :], 2)
    for at in places if len(word) >= SHORTEST_REPLACED else ():
        for letter in letters:
            found.setdefault(word[:at] + letter + word[at + 1 :], 3)
    found.pop(word, None)
    return found


def joining_meant(word: str, language: str) -> str:
    """The joining word that an unknown one may be, by the slips that are made most often; else empty."""
    joining = STOPS.get(language, frozenset()) if len(word) >= SHORTEST_JOINING else ()
    return next((form for form, rank in near(word, letters_of(language)).items() if rank <= 1 and form in joining), "")


def word_meant(word: str, known: Container[str], language: str) -> str:
    """That of the known ones which an unknown one may be; else itself."""
    if len(word) < SHORTEST or not word.isalpha():
        return word
    forms = near(word, letters_of(language))
    return min((form for form in forms if form in known), key=forms.__getitem__, default=word)


@cache
def letters_of(language: str) -> str:
    """As its joining words have them, and the Latin ones in which all are written that are not in another script."""
    own = {letter for word in STOPS.get(language, ()) for letter in word if letter.isalpha()}
    return "".join(sorted(own.union(ascii_lowercase) if own.intersection(ascii_lowercase) or not own else own))


def _is_unknown(word: str, own: str, languages: Sequence[str], missing: frozenset[int]) -> bool:
    if not word.isalpha() or is_unspaced(word) or not SHORTEST_JOINING <= len(word) <= LONGEST_STEMMED:
        return False
    return word not in STOPS.get(own, ()) and missing.issuperset(numbers_of(word, languages))


def _forms(word: str, languages: Sequence[str]) -> dict[str, int]:
    """Of the word and of its stems: the index has stems."""
    found: dict[str, int] = {}
    for language in languages:
        for one in dict.fromkeys((stem(word, language), word)):
            for form, rank in near(one, letters_of(language)).items():
                found[form] = min(rank, found.get(form, rank))
    return found
