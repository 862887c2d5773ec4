"""A question that leans on what was said before it, made to stand alone for the search.

By words: what the question before was about is put behind it, where it points back ("When did he die?") or says nearly
nothing itself ("And in 2019?"). By a model: one short call, which also names what a broad question should be searched
by; where that fails, by words.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent_service.contract import MAX_TERMS, Rewriting, Turn, Usage
from agent_service.errors import UpstreamError
from agent_service.pipeline.answering import Speaker
from agent_service.pipeline.brief import asking, said
from agent_service.pipeline.languages import STOPS, language_of
from agent_service.pipeline.leaning_words import (
    AMBIGUOUS,
    EMPTY_AFTER,
    EMPTY_BEFORE,
    OPENING,
    POINTING,
    UNSPACED_POINTING,
)
from agent_service.pipeline.question_words import QUESTION_WORDS
from agent_service.pipeline.terms import is_unspaced, words_of
from agent_service.ports import Prompt

log = logging.getLogger(__name__)

LONGEST_LEANING = 12
"""Words: a longer question says what it is about."""
ANTECEDENT = 2
"""Content words before a pointing word: after more than that it points into the question itself."""
OPENED = 4
"""Content words of a question that begins as if it went on ("And …?"): one with more is about something of its own."""
EXCHANGES = 3
"""Of the conversation that are looked back at."""
MOST_TAKEN = 12
MOST_NAMES = 4
"""Taken from the answer before: names that the question before did not have."""
ANSWER_CHARS = 400
QUERY_CHARS = 1_000
TERM_CHARS = 200
MODEL_OUTPUT_TOKENS = 160
MODEL_TURN_CHARS = 1_000

_MARKER = re.compile(r"\[\d{1,3}\]")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω][\w'’-]+(?:\s+[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω][\w'’-]+)*")
_RAW_WORD = re.compile(r"[^\W_][\w'’-]*")
_SYSTEM = (
    "You prepare a search in a knowledge base. Read the conversation and its last question. Write the question again "
    "so that it can be understood without the conversation, in its own language, adding nothing that was not said. "
    "Where it is broad or has several parts, also write up to {most} short search terms, one a line. Answer in exactly "
    "this form and do not answer the question itself:\nQUESTION: <the question>\nSEARCH: <a search term>"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A question that stands alone. `by` is "none" where it did so before; `usage` of the model that was asked, whether
    or not it was of use."""

    query: str
    terms: Sequence[str] = ()
    by: Rewriting = "none"
    usage: Usage | None = None


def by_words(question: str, history: Sequence[Turn]) -> Standing:
    """Does nothing to a question that leans on nothing, or has nothing to lean on."""
    taken = taken_over(question, history)
    if not taken:
        return Standing(question)
    return Standing(f"{question} {' '.join(taken)}"[:QUERY_CHARS].strip(), by="words")


def taken_over(question: str, history: Sequence[Turn]) -> list[str]:
    """The words of what was said before that a question leans on, as they were written there."""
    exchanges = _exchanges(history)[-EXCHANGES:]
    return _taken(question, exchanges) if exchanges and leans(question) else []


async def by_model(question: str, history: Sequence[Turn], speaker: Speaker) -> Standing:
    """Asks once, within the speaker's limits; by words where it fails or says nothing of use."""
    usage: Usage | None = None
    try:
        written, usage = await said(_prompt(question, history, speaker), speaker)
    except UpstreamError as error:
        log.info("%s did not rewrite a question: %s", speaker.model.id, error.kind)
        written = ""
    query, terms = _read(written)
    if not query:
        return replace(by_words(question, history), usage=usage)
    return Standing(query, terms, by="model", usage=usage)


def leans(question: str) -> bool:
    """Whether a question points back at something that was said before it."""
    words = words_of(question)
    if not words:
        return False
    if any(map(is_unspaced, words)):
        return len(question) <= LONGEST_LEANING * 2 and any(pointing in question for pointing in UNSPACED_POINTING)
    if len(words) > LONGEST_LEANING:
        return False
    language = language_of(words, fewest=1)
    content = [_says_something(word, language) for word in words]
    if not any(content):
        return True
    if all(word.isdecimal() for word, says in zip(words, content, strict=True) if says):
        return True
    if _opens(words) and sum(content) <= OPENED:
        return True
    return any(_points(place, words, content, language, question) for place in range(len(words)))


def _opens(words: Sequence[str]) -> bool:
    return any(tuple(words[: len(opening)]) == opening for opening in OPENING)


def _points(place: int, words: Sequence[str], content: Sequence[bool], language: str, question: str) -> bool:
    word = words[place]
    if word not in POINTING.get(language, ()):
        return False
    before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
    if word in AMBIGUOUS.get(language, ()):
        return sum(content) <= (1 if after else ANTECEDENT)
    if word == "it" and before in EMPTY_BEFORE and after in EMPTY_AFTER:
        return False
    if _names_something(question, upto=place):
        return False
    return sum(content[:place]) <= ANTECEDENT


def _names_something(question: str, *, upto: int) -> bool:
    """Whether there is a name, by its capital letter, between the first word and this one."""
    raw = _RAW_WORD.findall(question)[1:upto]
    return any(
        word[0].isupper() and folded_word not in QUESTION_WORDS for word in raw for folded_word in [word.lower()]
    )


def _taken(question: str, exchanges: Sequence[tuple[str, str]]) -> list[str]:
    """The content words of the question before, as they were written, and if that leaned as well, of the one before it;
    then the names in the answer."""
    own = set(words_of(question))
    dated = any(word.isdecimal() for word in own)
    taken: list[str] = []
    for asked, answered in reversed(exchanges):
        taken += _content(asked)
        if answered:
            taken += _names(answered)
        if not leans(asked):
            break
    fresh = [word for word in taken if word.lower() not in own and not (dated and word.isdecimal())]
    return list({word.lower(): word for word in reversed(fresh)}.values())[::-1][:MOST_TAKEN]


def _content(text: str) -> list[str]:
    words = words_of(text)
    if any(map(is_unspaced, words)):
        return [text.strip()]
    language = language_of(words, fewest=1)
    return [raw for raw in _RAW_WORD.findall(text) if all(_says_something(word, language) for word in words_of(raw))]


def _names(answer: str) -> list[str]:
    plain = _MARKER.sub("", answer)[:ANSWER_CHARS]
    names = [word for name in _NAME.findall(plain) for word in name.split()]
    return list(dict.fromkeys(names))[:MOST_NAMES]


def _says_something(word: str, language: str) -> bool:
    return word not in STOPS.get(language, ()) and word not in QUESTION_WORDS


def _exchanges(history: Sequence[Turn]) -> list[tuple[str, str]]:
    """Questions with their answers, oldest first."""
    found: list[tuple[str, str]] = []
    for turn in history:
        if turn.role == "user":
            found.append((turn.text, ""))
        elif found:
            found[-1] = (found[-1][0], turn.text)
    return found


def _prompt(question: str, history: Sequence[Turn], speaker: Speaker) -> Prompt:
    said_before = "\n".join(f"{turn.role}: {turn.text[:MODEL_TURN_CHARS]}" for turn in history[-2 * EXCHANGES :])
    message = f"Conversation:\n{said_before or '(none)'}\n\nLast question: {question}"
    return asking(_SYSTEM.format(most=MAX_TERMS - 1), message, speaker=speaker, most=MODEL_OUTPUT_TOKENS)


def _read(written: str) -> tuple[str, list[str]]:
    query, terms = "", []
    for line in written.splitlines():
        name, _, value = line.strip().partition(":")
        value = value.strip().strip('"<>')
        if name.strip().upper() == "QUESTION" and not query:
            query = value[:QUERY_CHARS]
        elif name.strip().upper() == "SEARCH" and value:
            terms.append(value[:TERM_CHARS])
    return query, [term for term in dict.fromkeys(terms) if term != query][: MAX_TERMS - 1]
