"""Turns as the doors for programs use them: begun, waited for, and read back as the native API shows them."""

import json
from typing import Any
from uuid import UUID

from rest_framework.renderers import JSONRenderer

from backend.conversations.answers.running import running_turns
from backend.conversations.answers.turns import Turn
from backend.conversations.models import Answer
from backend.conversations.rest.serializers import AnswerOutput
from backend.conversations.services import OpenedTurn
from backend.core.database import in_database


async def started(opened: OpenedTurn | Answer) -> tuple[Answer, Turn | None]:
    """The turn, running; None where the answer is one that was given before."""
    if isinstance(opened, Answer):
        return opened, None
    return opened.answer, await running_turns().start(opened)


async def shown_answer(answer_id: UUID) -> tuple[Answer, dict[str, Any]]:
    """The row, and what the native API shows of it, as plain JSON."""
    return await in_database(_shown, answer_id=answer_id)


def _shown(*, answer_id: UUID) -> tuple[Answer, dict[str, Any]]:
    answer = Answer.objects.with_citations().get(pk=answer_id)
    return answer, json.loads(JSONRenderer().render(AnswerOutput(answer).data))
