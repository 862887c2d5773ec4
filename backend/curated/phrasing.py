"""When two questions are the same question.

What is compared is the sequence of a question's words that carry weight. Letter case, the encoding of accents,
punctuation and courtesies weigh nothing, nor do articles and the auxiliaries of the present unless they come last;
every other word does, in its place. So "How do I reset my password?" is "Please, how do I reset the password", while
"flights to Paris" is not "flights from Paris", nor "Who beat France?" "Who did France beat?", nor "Who is the
director?" "Who was the director?". It errs on the side of no match: an answer given word for word must not be another
question's.
"""

import hashlib
import unicodedata

CHARS = 500
"""Of a phrasing at most. What is longer is no question that somebody asks twice in the same words."""

_COURTESIES = {
    "please", "pls", "kindly", "hi", "hello", "hey", "thanks", "bitte", "hallo", "danke", "bonjour", "merci", "hola",
    "gracias", "ciao", "grazie", "пожалуйста", "здравствуйте", "привет", "спасибо",
}  # fmt: skip
# Of English and German. None that is a word with a meaning of its own in the other, such as "die".
_WEIGHTLESS = {
    "a", "an", "the", "is", "are", "am", "do", "does", "my", "our", "der", "das", "dem", "ein", "eine", "einen",
    "einem", "einer",
}  # fmt: skip
_SAME = {"could": "can", "were": "was", "did": "was", "whats": "what", "wheres": "where", "whos": "who"}
_APOSTROPHES = "'’ʼ`"
_MEANT = "#%&@"  # marks that make another word of one, as in "C#"


def key_of(question: str) -> str:
    """sha256 (hex) of the words that carry weight; empty where there is no word, and for what is too long."""
    if len(question) > CHARS:
        return ""
    words = [word for word in _words(question) if word not in _COURTESIES]
    heavy = [_SAME.get(word, word) for word in words[:-1] if word not in _WEIGHTLESS] + words[-1:]
    return hashlib.sha256(" ".join(heavy).encode()).hexdigest() if heavy else ""


def _words(question: str) -> list[str]:
    """After folding, what was composed may be composed anew, so that the form is taken twice."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", question).casefold())
    plain = "".join(char for char in folded if char not in _APOSTROPHES and unicodedata.category(char) != "Cf")
    words = (_bare(word) for word in plain.split())
    return [word for word in words if word]


def _bare(word: str) -> str:
    """Without the punctuation at its ends; what stands inside a number or a name belongs to it."""
    marks = [_is_mark(char) for char in word]
    if all(marks):
        return ""
    start, end = marks.index(False), len(word) - marks[::-1].index(False)
    return word[start:end]


def _is_mark(char: str) -> bool:
    return char not in _MEANT and unicodedata.category(char).startswith("P")
