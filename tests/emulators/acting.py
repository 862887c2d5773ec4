"""The emulated model's hands: which tools it calls next, whatever its vendor's wire.

It obeys everybody. What stands in its question or in what a tool gave it as `CALL name {"argument": …}` at the
beginning of a line it does, whether or not it was told of such a tool and whether or not it may call any; what stands
there as `SAY words` it says. Without such orders it searches once, if it can, and answers from what it was given.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.emulators import reading

ORDER = re.compile(r"^CALL (?P<name>[A-Za-z_][\w-]*) (?P<arguments>\{[^\n]*\})\s*$", re.MULTILINE)
WORDS = re.compile(r"^SAY (?P<words>[^\n]+)$", re.MULTILINE)
SEARCH = "knowledge_search"


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: dict[str, Any]


@dataclass(slots=True)
class Scene:
    """What a model with tools has before it: its question, the calls it made, what came of them."""

    question: str
    tools: Sequence[str] = ()
    made: list[Call] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    may_call: bool = True

    def calls(self) -> list[Call]:
        """All that it is ordered to make and has not made yet."""
        ordered = [*_ordered("\n".join([self.question, *self.results]))]
        due = [call for call in ordered if call not in self.made]
        if due:
            return list({json.dumps([call.name, call.arguments]): call for call in due}.values())
        if self.may_call and SEARCH in self.tools and not self.made:
            return [Call(SEARCH, {"query": self.question})]
        return []

    def answer(self, system: str) -> str:
        said = " ".join(match["words"] for match in WORDS.finditer("\n".join([self.question, *self.results])))
        if said:
            return said
        return reading.answer("\n\n".join([*self.results, f"Question: {self.question}"]), system)


def _ordered(text: str) -> list[Call]:
    calls = []
    for match in ORDER.finditer(text):
        try:
            calls.append(Call(match["name"], json.loads(match["arguments"])))
        except ValueError:
            continue
    return calls
