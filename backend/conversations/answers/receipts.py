"""What an answer was made from and how, in ids and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from agent_service import contract
from backend.conversations.models import Receipt
from backend.documents.passages import LivePassage


@dataclass(frozen=True, slots=True)
class Account:
    """What goes into an answer's receipt; no word of a document is among it."""

    query: str = ""
    prompt_sha256: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    passages: list[dict[str, Any]] = field(default_factory=list)
    checks: dict[str, int] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)

    def receipt(self, answer_id: UUID) -> Receipt:
        """Not stored yet."""
        return Receipt(
            answer_id=answer_id,
            query=self.query,
            prompt_sha256=self.prompt_sha256,
            parameters=self.parameters,
            passages=self.passages,
            checks=self.checks,
            timings=self.timings,
        )


def parameters_of(request: contract.ChatRequest) -> dict[str, Any]:
    """Of the request to the agent, all that is a setting."""
    asked = {
        "model", "fallbacks", "temperature", "strictness", "check", "follow_ups", "max_output_tokens", "stop", "agent",
    }  # fmt: skip
    return request.model_dump(mode="json", include=asked & set(type(request).model_fields)) | {
        "history_turns": len(request.history),
        "images": len(request.images),
    }


def ranked(passages: Sequence[LivePassage]) -> list[dict[str, Any]]:
    """The marker `[n]` in an answer's text is the rank."""
    return [
        {
            "rank": rank,
            "chunk": str(passage.chunk_id),
            "bot": str(passage.bot_id) if passage.bot_id else None,
            "document": str(passage.document_id),
            "version": str(passage.version_id),
            "page": passage.page,
            "start": passage.start,
            "end": passage.end,
            "score": round(passage.score, 6),
        }
        for rank, passage in enumerate(passages, start=1)
    ]
