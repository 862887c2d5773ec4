"""A conversation as it is handed on: its questions, each with the answer that counts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef

from backend.conversations.models import Answer, AnswerState, Conversation

GIVEN = (AnswerState.DONE, AnswerState.STOPPED)


def given(conversation: Conversation) -> Any:
    """The newest given answer of each question, oldest first."""
    answers = Answer.objects.filter(conversation=conversation, state__in=GIVEN, replay_of=None)
    newer = answers.filter(message=OuterRef("message"), pk__gt=OuterRef("pk"))
    return answers.filter(~Exists(newer)).order_by("message_id")


def read(answers: Any) -> Sequence[Answer]:
    """With question and citations, each citation without its words where the document is gone."""
    return list(answers.with_citations().select_related("message", "conversation"))


def documents_bots(answers: Sequence[Answer]) -> set[UUID]:
    """The bots whose documents are cited."""
    versions = (citation.version for answer in answers for citation in answer.citations.all())
    return {version.document.bot_id for version in versions if version is not None}
