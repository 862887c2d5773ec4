"""Texts and questions as the terms of the lexical index: numbers, so that the index holds no word of anybody's.

A word is cut to its stem (Snowball) in the language of its text; what joins and points is left out. Neighbouring words
give a second term, which counts less. Scripts without spaces give pairs of neighbouring characters. A question is asked
in all languages of the texts it is asked of, and all forms that a word takes there stand for one another.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import chain, pairwise, repeat

import snowballstemmer

from agent_service.pipeline.languages import STOPS, language_of
from agent_service.pipeline.question_words import UNSPACED_QUESTION_WORDS
from agent_service.pipeline.terms import is_unspaced, pairs_of, words_of
from agent_service.ports import Asked, Indexed

HEADING_TIMES = 2
PAIR_WEIGHT = 0.25
MOST = 32_767
"""Of a term in a text, and of terms of a text: both are stored in two bytes."""
LONGEST_STEMMED = 40
MOST_LANGUAGES = 4
"""Of a namespace that a question is asked in."""
MOST_ASKED_WORDS = 400
REMEMBERED_WORDS = 100_000
REMEMBERED_HEADINGS = 500

_STEMMERS = {
    "en": "english",
    "de": "german",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
    "pt": "portuguese",
    "nl": "dutch",
    "sv": "swedish",
    "da": "danish",
    "no": "norwegian",
    "fi": "finnish",
    "tr": "turkish",
    "ro": "romanian",
    "pl": "polish",
    "hu": "hungarian",
    "cs": "czech",
    "id": "indonesian",
    "ru": "russian",
    "el": "greek",
    "ar": "arabic",
    "fa": "persian",
    "hi": "hindi",
    "hy": "armenian",
    "ta": "tamil",
}
_stemming = threading.Lock()
"""A stemmer keeps the word it works on in itself."""


def indexed(text: str, heading: str = "") -> Indexed:
    words = words_of(text)
    language = language_of(words)
    own, own_length = _counted(words, language)
    headings, heading_length = _counted_heading(heading, language)
    found = own + headings * HEADING_TIMES
    counts = dict(Counter(found))
    if len(found) > MOST:
        counts = {term: min(count, MOST) for term, count in counts.items()}
    return Indexed(language, min(own_length + heading_length * HEADING_TIMES, MOST), counts)


def _counted(words: Sequence[str], language: str) -> tuple[list[int], int]:
    """Terms and pairs, and how many terms."""
    silent = STOPS.get(language, frozenset())
    singles = list(map(_numbers, [word for word in words if word not in silent], repeat(language)))
    terms = list(chain.from_iterable(singles))
    return terms + _pairs(singles), len(terms)


@lru_cache(REMEMBERED_HEADINGS)
def _counted_heading(heading: str, language: str) -> tuple[list[int], int]:
    """The same for all passages below it."""
    return _counted(words_of(heading), language)


def asked(question: str, languages: Sequence[str]) -> list[Asked]:
    """Empty where the question has only joining words. `languages` of the texts, most used first."""
    words = words_of(UNSPACED_QUESTION_WORDS.sub(" ", question))[:MOST_ASKED_WORDS]
    own = language_of(words, likely=languages, fewest=1)
    words = [word for word in words if _says_something(word, own)]
    counts: Counter[tuple[frozenset[int], float]] = Counter()
    for word in words:
        for forms in _forms_of(word, languages):
            counts[forms, 1.0] += 1
    for first, second in pairwise(words):
        if forms := _pair_forms(first, second, languages):
            counts[forms, PAIR_WEIGHT] += 1
    return [Asked(forms, weight * count) for (forms, weight), count in counts.items()]


def _forms_of(word: str, languages: Sequence[str]) -> list[frozenset[int]]:
    if is_unspaced(word):
        return [frozenset([number]) for number in _numbers(word, "")]
    return [frozenset(_numbers(word, language)[0] for language in languages)]


def _pair_forms(first: str, second: str, languages: Sequence[str]) -> frozenset[int]:
    return frozenset(
        pair for language in languages for pair in _pairs([_numbers(first, language), _numbers(second, language)])
    )


def _pairs(singles: Sequence[tuple[int, ...]]) -> list[int]:
    """In four bytes, with a sign."""
    neighbours: Iterable[tuple[int, int]]
    if sum(map(len, singles)) == len(singles):
        neighbours = pairwise(chain.from_iterable(singles))
    else:
        both = pairwise(singles)
        neighbours = ((first[0], second[0]) for first, second in both if len(first) == len(second) == 1)
    return [((first * 0x9E3779B1 + second + 0x80000000) & 0xFFFFFFFF) - 0x80000000 for first, second in neighbours]


def numbers_of(word: str, languages: Sequence[str]) -> set[int]:
    """A word's in these languages, of a script with spaces."""
    return {number for language in languages for number in _numbers(word, language)}


def _says_something(word: str, language: str) -> bool:
    return word not in STOPS.get(language, ())


@lru_cache(REMEMBERED_WORDS)
def _numbers(word: str, language: str) -> tuple[int, ...]:
    """One for a word, several for a run without spaces."""
    if is_unspaced(word):
        return tuple(map(number_of, pairs_of(word)))
    return (number_of(stem(word, language)),)


def number_of(term: str) -> int:
    """In four bytes. That two of some 100,000 terms of a bot share one happens, and costs a little precision."""
    digest = hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=4).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(REMEMBERED_WORDS)
def stem(word: str, language: str) -> str:
    """Of a folded word of at most LONGEST_STEMMED letters; longer ones are nobody's words and stay as they are."""
    if language not in _STEMMERS or len(word) > LONGEST_STEMMED or word[0].isdigit():
        return word
    with _stemming:
        found: str = _stemmer(language).stemWord(word)
    return found


@cache
def _stemmer(language: str) -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer(_STEMMERS[language])
