"""Steps on the way to an answer: as they are told while it runs, and as they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from backend.conversations.models import Step

TOLD_CHARS = 500
KEPT_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A tool that was asked. `result` holds no word of a document: what may be deleted is not kept here."""

    number: int
    tool: str
    arguments: Mapping[str, Any]
    result: str = ""
    error_code: str = ""
    milliseconds: int = 0

    def shown(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "tool": self.tool,
            "arguments": dict(self.arguments),
            "result": self.result[:TOLD_CHARS],
            "error_code": self.error_code,
            "milliseconds": self.milliseconds,
        }


def store_steps(answer_id: UUID, steps: Sequence[StepTaken]) -> None:
    if not steps:
        return
    Step.objects.bulk_create(
        Step(
            answer_id=answer_id,
            number=step.number,
            tool=step.tool,
            arguments=dict(step.arguments),
            result=step.result[:KEPT_CHARS],
            error_code=step.error_code,
            milliseconds=step.milliseconds,
        )
        for step in steps
    )
