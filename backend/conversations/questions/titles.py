"""What a conversation is called until somebody names it: its first question, in one clean line."""

import re

CHARS = 80
_ENOUGH = 12  # a greeting alone is not a title, a short question is
_ASKED = "?？"
_PICTURE_OR_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,2000}\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_BEGINNING = re.compile(r"(?m)^[ \t]{0,20}(?:[#>]{1,6}|[-*+]|\d{1,3}[.)])[ \t]")
_MARKS = re.compile(r"[*`~]+|(?<!\w)_+|_+(?!\w)")
_SENTENCE_END = re.compile(r"[.!?…](?=\s)|[。！？]")
_OUTER = " \t\n-–—:;,"


def title_of(question: str) -> str:
    """Its first sentence, or as many whole words of it as fit; never empty where the question is not."""
    line = " ".join(_without_markup(question).split()).strip(_OUTER)
    line = line or " ".join(question.split())
    sentence = _first_sentence(line)
    return sentence if len(sentence) <= CHARS else _whole_words(sentence)


def _without_markup(text: str) -> str:
    text = _BEGINNING.sub("", _TAG.sub(" ", _PICTURE_OR_LINK.sub(r"\1", text)))
    return _MARKS.sub("", text)


def _first_sentence(line: str) -> str:
    for end in _SENTENCE_END.finditer(line):
        if end.end() >= _ENOUGH or end[0] in _ASKED:
            return line[: end.end()].rstrip(".")
    return line.rstrip(".") or line


def _whole_words(text: str) -> str:
    cut = text[: CHARS - 1]
    words, blank, _ = cut.rpartition(" ")
    return f"{(words if blank and len(words) > CHARS // 2 else cut).rstrip(_OUTER)}…"
