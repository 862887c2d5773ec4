"""Terms of a text for comparing it with another of the same language, whichever that is.

Words are folded and cut to a light stem; scripts that write without spaces give pairs of neighbouring characters.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from agent_service.pipeline.question_words import QUESTION_WORDS, UNSPACED_QUESTION_WORDS

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese"""
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u0900-\u0903\u093a-\u094f\u0962\u0963\u0981-\u0983\u09bc-\u09cd"
)
"""Combining marks of Latin, Hebrew, Arabic and Indian scripts: they belong to the word they stand in."""
_WORD = re.compile(rf"[{_UNSPACED}]+|(?:[^\W_{_UNSPACED}]|[{_MARKS}])+")
_USUAL_WORD = re.compile(r"[^\W_]+")
"""Of a text that has nothing of `_UNUSUAL`: the same words as `_WORD`, in a quarter of the time."""
_UNUSUAL = re.compile(rf"[{_UNSPACED}{_MARKS}]")
_ASCII_WORDS = str.maketrans({chr(code): chr(code) if chr(code).isalnum() else " " for code in range(128)})
_UNSPACED_START = re.compile(rf"[{_UNSPACED}]")
_DROPPED = re.compile("[\u0640\u064b-\u065f\u0670]")
_POSSESSIVE = re.compile(r"(?<=\w)['\u2019]s(?!\w)")
_ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه"})
_ARABIC_ARTICLE = re.compile("^(?:و|ف|ب|ك|ل)?(?:ال|لل)(?=.{2})")
_SUFFIX = re.compile(r"(?:ies|ied|ing|ings|edly|ed|es|ly|e|en|ern|em|er|s|n|y|i)$")
STEM_MIN = 4
LONGEST_STEMMED = 40
REMEMBERED_WORDS = 100_000


def terms_of(text: str) -> list[str]:
    found: list[str] = []
    for word in words_of(text):
        if is_unspaced(word):
            found.extend(pairs_of(word))
        else:
            found.append(stem_of(word))
    return found


def asked_terms(question: str) -> list[str]:
    """Terms of a question without the words that only ask; all of them where nothing else is left."""
    words = words_of(UNSPACED_QUESTION_WORDS.sub(" ", question))
    content = " ".join(word for word in words if word not in QUESTION_WORDS)
    return terms_of(content) or terms_of(question)


def weights(texts: Sequence[Iterable[str]]) -> dict[str, float]:
    """Inverse document frequency of every term over these texts (Robertson and Spärck Jones, in BM25's non-negative
    form).
    """
    frequency = Counter(term for terms in texts for term in set(terms))
    return {term: idf(len(texts), count) for term, count in frequency.items()}


def idf(texts: int, with_term: int) -> float:
    return math.log(1 + (texts - with_term + 0.5) / (with_term + 0.5))


def overlap(asked: Iterable[str], given: Iterable[str], weight: Mapping[str, float]) -> float:
    """The share of the asked terms' weight that is found in the given terms, 0 to 1."""
    wanted = set(asked)
    whole = sum(weight.get(term, 0.0) for term in wanted)
    if whole <= 0:
        return 0.0
    return sum(weight.get(term, 0.0) for term in wanted.intersection(given)) / whole


def words_of(text: str) -> list[str]:
    """Folded words in order, and runs of characters where a script puts no spaces."""
    text = folded(text)
    if "'s" in text or "\u2019s" in text:
        text = _POSSESSIVE.sub("", text)
    if text.isascii():
        return text.translate(_ASCII_WORDS).split()
    return (_WORD if _UNUSUAL.search(text) else _USUAL_WORD).findall(text)


def folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return _DROPPED.sub("", unicodedata.normalize("NFKC", text).casefold())


def is_unspaced(word: str) -> bool:
    return _UNSPACED_START.match(word) is not None


def pairs_of(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def stem_of(word: str) -> str:
    """Of a folded word."""
    return _stem(word) if len(word) <= LONGEST_STEMMED else word


@lru_cache(REMEMBERED_WORDS)
def _stem(word: str) -> str:
    if len(word) < STEM_MIN or word[0].isdigit():
        return word
    if "\u0600" <= word[0] <= "\u06ff":
        return _ARABIC_ARTICLE.sub("", word.translate(_ARABIC))
    stem = _SUFFIX.sub("", word)
    return stem if len(stem) >= STEM_MIN - 1 else word
