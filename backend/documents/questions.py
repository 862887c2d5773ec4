"""How questions with their answers are written down, to be read like any other document.

Used by the child process as well: it imports neither Django nor models.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """One answer and the phrasings of its question. `number` is its own for ever."""

    number: int
    questions: Sequence[str]
    answer: str
    link: str = ""

    @property
    def label(self) -> str:
        return f"Question {self.number}"

    @property
    def text(self) -> str:
        """Of its page."""
        return "\n".join(self.questions) + f"\n\n{self.answer}"


def written(pairs: Iterable[Pair]) -> bytes:
    return json.dumps({"pairs": [asdict(pair) for pair in pairs]}, ensure_ascii=False, indent=1).encode()
