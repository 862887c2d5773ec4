"""Which language a text is in, guessed from its script and its joining words: cheap, and good enough to choose a
stemmer.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from agent_service.pipeline.stop_words import STOP_WORDS
from agent_service.pipeline.terms import folded

DEFAULT = "en"
"""Of Latin text that gives no hint, such as a table; its light stem does little harm elsewhere."""
UNKNOWN = ""
ENOUGH_WORDS = 400
FEWEST_HINTS = 2

_SCRIPTS = (
    ("ar", "\u0600", "\u06ff"),
    ("ru", "\u0400", "\u052f"),
    ("el", "\u0370", "\u03ff"),
    ("hi", "\u0900", "\u097f"),
    ("hy", "\u0530", "\u058f"),
    ("ta", "\u0b80", "\u0bff"),
)
_PERSIAN = re.compile("[پچژگ]")
_LATIN_END = "\u024f"

STOPS = {language: frozenset(map(folded, words)) for language, words in STOP_WORDS.items()}
_IN_LATIN = [language for language, words in STOPS.items() if max(words)[0] <= _LATIN_END]
_HINTS: dict[str, list[str]] = {}
for _language in _IN_LATIN:
    for _word in STOPS[_language]:
        _HINTS.setdefault(_word, []).append(_language)


def language_of(words: Sequence[str], likely: Iterable[str] = (), fewest: int = FEWEST_HINTS) -> str:
    """The language of folded words; of equally good ones the first of `likely`."""
    words = words[:ENOUGH_WORDS]
    script = _script_of(words)
    if script is not None:
        return script
    hints = Counter(chain.from_iterable(filter(None, map(_HINTS.get, words))))
    most = max(hints.values(), default=0)
    if not hints or most < fewest:
        return next((language for language in likely if language in _IN_LATIN), DEFAULT)
    best = {language for language, count in hints.items() if count == most}
    return next(language for language in chain(likely, (DEFAULT,), _IN_LATIN) if language in best)


def _script_of(words: Sequence[str]) -> str | None:
    """None for Latin, which many languages write."""
    if words and max(words)[0] <= _LATIN_END:
        return None
    firsts: Counter[str] = Counter()
    for first, count in Counter([word[0] for word in words]).items():
        firsts[_script(first)] += count
    script = max(firsts, key=lambda one: firsts[one], default=UNKNOWN)
    if script == "ar" and sum(1 for word in words if _PERSIAN.search(word)) * 20 > len(words):
        return "fa"
    return None if script == DEFAULT else script


def _script(first: str) -> str:
    if first <= _LATIN_END:
        return DEFAULT
    return next((language for language, start, end in _SCRIPTS if start <= first <= end), UNKNOWN)
