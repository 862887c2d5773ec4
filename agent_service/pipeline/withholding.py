"""A streamed answer of which only what the passages support is shown: a sentence comes out when it has been checked.

What states nothing (a greeting, a heading, the lead of a list) waits for the first statement that it leads to, and goes
with it. Markers whose passage does not support the sentence are taken out of it.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from agent_service.contract import Passage
from agent_service.pipeline.checking import Checked, Checking, Said, judged, quotations, sentences_of, with_quotations
from agent_service.pipeline.citing import Mark
from agent_service.pipeline.sentences import LONGEST
from agent_service.pipeline.supporting import Sources, Support, Verdict

_ENDS = frozenset(".!?…؟۔।॥。！？｡\n")
_FINISHED = frozenset(".!?…؟۔।॥。！？｡:;\"'’”»)]}*_`|")
LONGEST_TAIL = 4_000
"""Text without the end of a sentence is cut here, so that no answer is read over and over."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A checked sentence as it would be shown, behind the white space that `gap` holds."""

    gap: str
    text: str
    verdict: Verdict
    markers: Sequence[int]
    quoted: Sequence[Support]


@dataclass
class Gate:
    """Fed the plain text and the marks as they come, gives back what may be shown."""

    passages: Sequence[Passage]
    sources: Sources
    withheld: int = 0
    rejected: int = 0
    stated: bool = False
    _checking: Checking = field(init=False)
    _tail: str = ""
    _line: str = ""
    _marks: list[Mark] = field(default_factory=list)
    _gap: str = ""
    _waiting: list[_Ready] = field(default_factory=list)
    _left_out: bool = False
    _shown: int = 0

    def __post_init__(self) -> None:
        self._checking = Checking(self.passages)

    def feed(self, plain: str, marks: Sequence[Mark], position: int) -> str:
        """`position` of the plain text in the whole of it, as the marks count."""
        begin = position - len(self._tail)
        self._tail += plain
        self._marks.extend((place - begin, number) for place, number in marks)
        if _ENDS.isdisjoint(self._tail) and len(self._tail) <= LONGEST:
            return ""
        return self._passed(whole=len(self._tail) > LONGEST_TAIL)

    def flush(self, *, finished: bool) -> str:
        """The rest. Of an answer that was cut off the last, half sentence is left out."""
        shown = self._passed(whole=True, half=not finished)
        if (not self._left_out and self.stated) or not self.withheld:
            shown += "".join(map(self._show, self._waiting))
        self._waiting = []
        return shown

    def result(self) -> Checked:
        checked = self._checking.result()
        return Checked(checked.citations, checked.sentences, checked.rejected + self.rejected)

    def _passed(self, *, whole: bool, half: bool = False) -> str:
        said = sentences_of(self._tail, self._marks)
        if not whole:
            said = said[:-1]
        shown = []
        done = 0
        for place, one in enumerate(said):
            gap, text = self._tail[done : one.start], self._tail[one.start : one.end]
            done = one.end
            if half and place == len(said) - 1 and text.rstrip()[-1:] not in _FINISHED:
                self._withhold(gap, one)
            else:
                shown.append(self._judged(gap, text, one))
        # What stands before a sentence in its line may be the beginning of what it quotes.
        self._line = (self._line + self._tail[:done]).rpartition("\n")[2][-LONGEST_TAIL:]
        self._tail = self._tail[done:]
        self._marks = [(at - done, number) for at, number in self._marks[sum(len(one.marks) for one in said) :]]
        return "".join(shown)

    def _judged(self, gap: str, text: str, said: Said) -> str:
        own = [number for _, number in said.marks]
        quoted = quotations(self._line + self._tail, said.moved(len(self._line)), self.passages)
        verdict = with_quotations(judged(self.sources, text, said, own), quoted, len(text))
        if verdict.claim and not verdict.supported:
            self._withhold(gap, said)
            return ""
        behind = {support.marker for support in verdict.by}
        kept = [number for number in own if number in behind]
        self.rejected += len(own) - len(kept)
        text = _marked(text, [(place - said.start, number) for place, number in said.marks], behind)
        ready = _Ready(_wider(self._gap, gap), text, verdict, kept, quoted)
        self._gap = ""
        if not verdict.claim:
            if self._left_out:
                self._waiting, self._left_out = [], False
            self._waiting.append(ready)
            return ""
        waiting, self._waiting, self._left_out, self.stated = self._waiting, [], False, True
        return "".join(map(self._show, (*waiting, ready)))

    def _withhold(self, gap: str, said: Said) -> None:
        self._gap = _wider(self._gap, gap)
        self._left_out = True
        self.withheld += 1
        self.rejected += len(said.marks)

    def _show(self, ready: _Ready) -> str:
        gap = ready.gap if self._shown else ""
        start = self._shown + len(gap)
        self._shown = start + len(ready.text)
        self._checking.add(ready.verdict, (start, self._shown), ready.markers, ready.quoted)
        return gap + ready.text


def _wider(left_out: str, gap: str) -> str:
    """What separated a sentence that is left out also separates its neighbours."""
    return left_out if left_out.count("\n") > gap.count("\n") else gap


def _marked(text: str, marks: Sequence[Mark], kept: Container[int]) -> str:
    """With the markers that are kept; one that is taken out takes the space in front of it along."""
    written = ""
    done = 0
    for place, number in marks:
        written, done = written + text[done:place], place
        if number in kept:
            written += f"[{number}]"
        elif not text[place : place + 1].isalnum():
            written = written.rstrip(" ")
    return (written + text[done:]).rstrip()
