"""What of a conversation goes into the prompt, and the most that a prompt may hold."""

from collections.abc import Iterable
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from agent_service.contract import IMAGE_TOKENS, Turn
from backend.conversations.models import Answer, AnswerState, Conversation, Message
from backend.core.prepared import Query

EXCHANGES = 20
CHARS_PER_TOKEN = 4  # the usual estimate for European text
CHARS_PER_TOKEN_AT_LEAST = 2  # for the ceiling: dense scripts and figures take more tokens


def estimated_tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def _said(conversation: UUID, **conditions: UUID) -> QuerySet[Answer, tuple[UUID, str, str]]:
    answers = Answer.objects.filter(conversation=conversation, state__in=[AnswerState.DONE, AnswerState.STOPPED])
    said = answers.filter(replay_of=None, **conditions).order_by("-id")
    rows: QuerySet[Answer, tuple[UUID, str, str]] = said.values_list("message_id", "message__text", "text")
    return rows[:EXCHANGES]


_SAID: Query[tuple[UUID, str, str]] = Query(_said, conversation=UUID)
_SAID_BEFORE: Query[tuple[UUID, str, str]] = Query(
    lambda conversation, message: _said(conversation, message__lt=message), conversation=UUID, message=UUID
)


def of(conversation: Conversation, *, before: Message | None = None) -> list[Turn]:
    """What was said in it, before that message where one is given; a replay says nothing new."""
    if conversation._state.adding:  # noqa: SLF001 - Django's own way to say that it is not stored yet
        return newest([], conversation.before)
    if before:
        rows = _SAID_BEFORE.all(conversation=conversation.pk, message=before.pk)
    else:
        rows = _SAID.all(conversation=conversation.pk)
    counted: dict[UUID, tuple[str, str]] = {}
    for message_id, question, text in rows:
        counted.setdefault(message_id, (question, text))  # of a regenerated answer the newest counts
    return newest(counted.values(), conversation.before)


def newest(exchanges: Iterable[tuple[str, str]], said_before: list[dict[str, str]]) -> list[Turn]:
    """`said_before`, then the exchanges, which come newest first: as much of the end as the budget holds."""
    kept = within_budget(exchanges, settings.HISTORY_BUDGET_TOKENS)
    left = settings.HISTORY_BUDGET_TOKENS - sum(estimated_tokens(turn.text) for turn in kept)
    earlier: list[Turn] = []
    for said in reversed(said_before):
        left -= estimated_tokens(said["text"])
        if left < 0:
            break
        earlier.insert(0, Turn.model_validate(said))
    return earlier + kept


def within_budget(pairs: Iterable[tuple[str, str]], budget: int) -> list[Turn]:
    """The newest exchanges that fit into `budget` tokens, whole ones only, oldest first. `pairs` come newest first."""
    kept: list[Turn] = []
    for question, answer in pairs:
        budget -= estimated_tokens(question) + estimated_tokens(answer)
        if budget < 0:
            break
        kept[:0] = [Turn(role="user", text=question), Turn(role="assistant", text=answer)]
    return kept


def ceiling_tokens(
    *, question: str, instructions: str, history_budget: int, passages: int, passage_chars: int, images: int = 0
) -> int:
    """The most tokens that a prompt of these parts may have."""
    chars = len(question) + len(instructions) + passages * passage_chars + history_budget * CHARS_PER_TOKEN
    return 500 + images * IMAGE_TOKENS + -(-chars // CHARS_PER_TOKEN_AT_LEAST)
