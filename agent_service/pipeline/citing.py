"""Markers `[n]` in a streamed answer.

A marker is shown only where passage n exists; all others are taken out and counted. Nothing is renumbered, but `[1,
2]`, `[1-3]`, `【1】` and digits of other scripts are written `[1][2]`, so that a reader of the text needs to know one
form only. In code, `values[1]` is no marker, and is left as it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Mark = tuple[int, int]
"""Where a marker stands in the text without markers, and its number."""

_OPEN = re.compile(r"[\[【［]")
_CLOSE = "]】］"
_BETWEEN = " ,;、،，-–"
_GROUP = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")
_BRACKETED = re.compile(r"[\[【［]([ ,;、،，–-]*\d[\d ,;、،，–-]*)[\]】］]")
_SPECIAL = re.compile(r"[\[【［`\n]")
_FENCE = 3
_LONGEST_INLINE = 300
"""Characters of inline code that are waited for; a backtick that is not closed by then opened nothing."""
_LONGEST_NUMBER = 6
_LARGEST_RANGE = 50


def without_markers(text: str) -> str:
    """For text that is quoted inside an answer: its own `[3]` would be taken for one of ours."""
    return _BRACKETED.sub(r"(\1)", text)


@dataclass(slots=True)
class MarkerFilter:
    """Fed an answer piece by piece, gives back what may be shown; a bracket that may still become a marker is held
    back.

    `plain` is the shown text without its markers, `marks` the places in it where a marker stands, `rejected` how many
    were taken out.
    """

    passages: int
    marks: list[Mark] = field(default_factory=list)
    rejected: int = 0
    _plain: list[str] = field(default_factory=list)
    _length: int = 0
    _space: str = ""
    _gap: bool = False
    _held: list[str] = field(default_factory=list)
    _code: str = ""
    _ticks: int = 0
    _fenced: bool = False
    _line_begins: bool = True
    _given: tuple[int, int] = (0, 0)

    @property
    def plain(self) -> str:
        return "".join(self._plain)

    def feed(self, text: str) -> str:
        return "".join(self._read(text))

    def flush(self) -> str:
        """What was held back; an answer does not end in white space."""
        shown = ""
        if self._ticks:
            shown = self._released() if self._closed() else self._no_code()
        held, self._held = "".join(self._held), []
        return shown + (self._shown(held) if held else "")

    def fresh(self) -> tuple[str, list[Mark]]:
        """The plain text and the marks that have come since this was asked the last time."""
        pieces, marks = self._given
        self._given = len(self._plain), len(self.marks)
        return "".join(self._plain[pieces:]), self.marks[marks:]

    def _read(self, text: str, *, literal: bool = False) -> Iterator[str]:
        """`literal`: backticks open nothing."""
        at = 0
        while at < len(text):
            if self._held:
                yield self._continue(text[at])
                at += 1
                continue
            if (self._ticks or self._fenced) and not literal:
                shown, at = self._read_code(text, at)
                yield shown
                continue
            special = _SPECIAL.search(text, at)
            end = special.start() if special else len(text)
            yield self._plainly(text[at:end])
            at = end
            if special:
                at += 1
                yield self._open(special.group(), literal=literal)

    def _open(self, character: str, *, literal: bool) -> str:
        if character == "`" and not literal:
            self._code, self._ticks = character, 1
            return ""
        if character in "\n`":
            self._line_begins = character == "\n"
            return self._shown(character)
        self._line_begins = False
        self._held.append(character)
        return ""

    def _plainly(self, text: str) -> str:
        self._line_begins = self._line_begins and not text.strip()
        return self._shown(text)

    def _read_code(self, text: str, at: int) -> tuple[str, int]:
        """What of it may be shown, and where to read on."""
        if self._fenced:
            return self._read_fenced(text, at)
        while at < len(text):
            character = text[at]
            opening = len(self._code) == self._ticks
            if opening and character == "`":
                self._ticks += 1
            elif opening and self._ticks >= _FENCE and self._line_begins:
                self._fenced = True
                return self._released(), at
            elif character != "`" and self._closed():
                return self._released(), at
            elif character == "\n" or len(self._code) > _LONGEST_INLINE:
                return self._no_code(), at
            self._code += character
            at += 1
        return "", at

    def _closed(self) -> bool:
        """The same number of backticks closes that opened."""
        inner = self._code.rstrip("`")
        return len(inner) > self._ticks and len(self._code) - len(inner) == self._ticks

    def _read_fenced(self, text: str, at: int) -> tuple[str, int]:
        """Line by line; one that is nothing but backticks closes."""
        end = text.find("\n", at)
        line = text[at : end + 1] if end >= 0 else text[at:]
        self._code += line
        shown = self._shown(line)
        if end >= 0:
            told, self._code = self._code.strip(), ""
            if len(told) >= _FENCE and not told.strip("`"):
                self._fenced, self._line_begins = False, True
        return shown, at + len(line)

    def _released(self) -> str:
        code, self._code, self._ticks = self._code, "", 0
        self._line_begins = False
        return self._shown(code)

    def _no_code(self) -> str:
        code, self._code, self._ticks = self._code, "", 0
        return "".join(self._read(code, literal=True))

    def _continue(self, character: str) -> str:
        if character.isdecimal() or character in _BETWEEN:
            self._held.append(character)
            return ""
        held, self._held = "".join(self._held), []
        if character in _CLOSE and any(known.isdecimal() for known in held):
            return self._resolved(held[1:])
        if _OPEN.match(character):
            self._held.append(character)
            return self._shown(held)
        return self._shown(held + character)

    def _resolved(self, group: str) -> str:
        numbers = list(_numbers(group))
        valid = [number for number in dict.fromkeys(numbers) if 1 <= number <= self.passages]
        self.rejected += sum(not 1 <= number <= self.passages for number in numbers)
        if not valid:
            self._gap = bool(self._space)
            return ""
        space, self._space = self._space, ""
        self._note(space)
        self.marks.extend((self._length, number) for number in valid)
        return space + "".join(f"[{number}]" for number in valid)

    def _shown(self, text: str) -> str:
        """White space waits for what follows: a marker that is taken out leaves neither two spaces nor one before a
        full stop.
        """
        solid = text.strip()
        lead = len(text) - len(text.lstrip())
        self._wait(text[:lead])
        if not solid:
            return ""
        space = "" if self._gap and not solid[0].isalnum() else self._space
        self._gap = False
        self._space = text[lead + len(solid) :]
        self._note(space + solid)
        return space + solid

    def _wait(self, space: str) -> None:
        """In the gap that a marker has left only the end of a line counts."""
        if self._gap and "\n" in space:
            self._gap, self._space = False, space[space.index("\n") :]
        elif not self._gap:
            self._space += space

    def _note(self, text: str) -> None:
        self._plain.append(text)
        self._length += len(text)


def _numbers(group: str) -> Iterator[int]:
    for match in _GROUP.finditer(group):
        first, last = _number(match[1]), _number(match[2] or match[1])
        if first < last <= first + _LARGEST_RANGE:
            yield from range(first, last + 1)
        else:
            yield from (first, last) if match[2] else (first,)


def _number(digits: str) -> int:
    """0, which names no passage, for numbers too long to be read."""
    digits = digits.lstrip("0")
    return int(digits) if 0 < len(digits) <= _LONGEST_NUMBER else 0
