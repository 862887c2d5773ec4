"""The emulated model's mind: of the numbered passages in a prompt, the sentence nearest to the question."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

MARKER = re.compile(r"^\s*(?:#+\s*)?\[(\d{1,3})\]\s*", re.MULTILINE)
SEALED = re.compile(
    r"^--- (\S+) passage \[(\d{1,3})\][^\n]*\n(.*?)\n--- \1 end of passage \[\2\]", re.DOTALL | re.MULTILINE
)
QUESTION = re.compile(r"(?:^|\n)\s*question\s*:\s*(.+?)\s*\Z", re.DOTALL | re.IGNORECASE)
PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
SENTENCE = re.compile(r"[^.!?]+(?:[.!?](?!\s|$)[^.!?]*)*[.!?]*")
LONG_SENTENCE = 300
WORD = re.compile(r"\w+")
NOTHING = "The given passages do not say anything about this."
SIGN = "NOT_FOUND"
GREETING = "Hello from the emulated model. I was given no passages to read."
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be by can did do does for from had has have how i in is it its many me much my of on or
        our should tell that the their there these this to was we were what when where which who whom why will with
        would you your""",
    )
)


@dataclass(frozen=True, slots=True)
class Passage:
    number: int
    text: str


def answer(prompt: str, system: str = "") -> str:
    """Where nothing fits, the sign that the system prompt asked for comes first."""
    passages, question = read(prompt)
    if not passages:
        return GREETING
    wanted = _terms(question)
    best: tuple[float, str, int] | None = None
    for passage in passages:
        for sentence in sentences(passage.text):
            score = _overlap(wanted, sentence)
            if score > 0 and (best is None or score > best[0]):
                best = (score, sentence, passage.number)
    if best is None:
        return f"{SIGN} {NOTHING}" if SIGN in system else NOTHING
    return f"{best[1]} [{best[2]}]"


def sentences(text: str) -> Iterator[str]:
    """On one line each. Lines of a page are joined, but where that gives no sentence (a table, a list) they stand
    alone."""
    for paragraph in PARAGRAPH_BREAK.split(text):
        for sentence in SENTENCE.findall(paragraph):
            lines = [sentence] if len(sentence) <= LONG_SENTENCE else sentence.splitlines()
            yield from (" ".join(line.split()) for line in lines if line.strip())


def read(prompt: str) -> tuple[list[Passage], str]:
    """The passages and the question: between sealed lines, or behind `[n]` at the start of a line."""
    asked = QUESTION.search(prompt)
    question = asked.group(1) if asked else _last_line(prompt)
    sealed = [Passage(int(number), text) for _, number, text in SEALED.findall(prompt)]
    return sealed or _marked(prompt[: prompt.rindex(question)]), question


def _marked(text: str) -> list[Passage]:
    starts = list(MARKER.finditer(text))
    ends = [mark.start() for mark in starts[1:]] + [len(text)]
    return [Passage(int(mark.group(1)), text[mark.end() : end]) for mark, end in zip(starts, ends, strict=False)]


def _last_line(prompt: str) -> str:
    lines = [line for line in prompt.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _terms(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in WORD.findall(text.lower()) if word not in STOP_WORDS)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def _overlap(wanted: frozenset[str], sentence: str) -> float:
    """Shared words, long ones counting more; of equals the shorter sentence."""
    found = _terms(sentence)
    shared = wanted & found
    return sum(len(word) for word in shared) / math.sqrt(len(found) + 12)
