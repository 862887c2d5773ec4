"""A turn in the database: its lease, and the one transaction that writes the answer and settles its hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from backend.conversations.errors import TurnInterrupted
from backend.conversations.models import Answer, AnswerState, Citation
from backend.core.errors import ChatSphereError
from backend.credits import services as ledger

SWEEP_BATCH = 200


@dataclass(frozen=True, slots=True)
class CitedSpan:
    """Characters `start` to `end` of a stored page, which `quote` was checked against."""

    marker: int
    version_id: UUID
    page: int
    start: int
    end: int
    quote: str
    score: float
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended. `cost` is in credits, and at most the hold is charged."""

    state: AnswerState
    text: str = ""
    cost: int = 0
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage_estimated: bool = False
    citations: Sequence[CitedSpan] = ()
    citations_rejected: int = 0
    error: ChatSphereError | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """What the database says about a running turn when its lease is renewed."""

    stop_requested: bool
    allowed: bool


class _EndedElsewhere(Exception):
    """Rolls back the settlement of a turn that is no longer streaming."""


def finish_turn(*, answer_id: UUID, outcome: Outcome) -> int | None:
    """Write the end of a turn and settle its hold, once: the credits charged, or None where it had ended elsewhere."""
    try:
        with transaction.atomic():
            return _end(answer_id, outcome)
    except _EndedElsewhere:
        return None


def end_running(*, conversation_id: UUID) -> None:
    """Stop what still runs in a conversation, uncharged; inside the caller's transaction."""
    running = Answer.objects.select_for_update().filter(conversation_id=conversation_id, state=AnswerState.STREAMING)
    for answer_id in running.values_list("pk", flat=True):
        _end(answer_id, Outcome(state=AnswerState.STOPPED))


def renew_leases(*, texts: Mapping[UUID, str]) -> dict[UUID, Lease]:
    """Renew the lease of all running turns of this process, saving what was shown so far, in one statement.

    A turn missing from the result is no longer ours: it was ended elsewhere.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE conversations_answer AS answer
            SET lease_until = now() + make_interval(secs => %s), text = shown.text
            FROM unnest(%s::uuid[], %s::text[]) AS shown(id, text),
                 users_user AS asker, conversations_conversation AS conversation, bots_bot AS bot, users_user AS owner
            WHERE answer.id = shown.id AND answer.state = 'streaming' AND asker.id = answer.user_id
              AND conversation.id = answer.conversation_id AND bot.id = conversation.bot_id AND owner.id = bot.owner_id
            RETURNING answer.id, answer.stop_requested,
                      asker.is_active AND owner.is_active AND bot.deleted_at IS NULL
            """,
            [settings.TURN_LEASE.total_seconds(), list(texts), list(texts.values())],
        )
        return {
            answer_id: Lease(stop_requested=stop, allowed=allowed) for answer_id, stop, allowed in cursor.fetchall()
        }


def sweep_turns() -> int:
    """End every turn whose process stopped renewing its lease, uncharged; how many there were."""
    outcome = Outcome(state=AnswerState.FAILED, error=TurnInterrupted())
    with transaction.atomic():
        lost = Answer.objects.select_for_update(skip_locked=True).filter(
            state=AnswerState.STREAMING, lease_until__lt=Now()
        )
        ids = list(lost.values_list("pk", flat=True)[:SWEEP_BATCH])
        for answer_id in ids:
            _end(answer_id, outcome)
    return len(ids)


def _end(answer_id: UUID, outcome: Outcome) -> int:
    entry = ledger.settle(
        reference=answer_id,
        charge=outcome.cost,
        input_tokens=outcome.input_tokens,
        output_tokens=outcome.output_tokens,
    )
    error = outcome.error
    ended = Answer.objects.filter(pk=answer_id, state=AnswerState.STREAMING).update(
        state=outcome.state,
        text=outcome.text,
        charged=entry.spent_delta,
        finish_reason=outcome.finish_reason,
        input_tokens=outcome.input_tokens,
        output_tokens=outcome.output_tokens,
        usage_estimated=outcome.usage_estimated,
        citations_rejected=outcome.citations_rejected,
        error_code=error.code if error else "",
        error_message=error.message[:500] if error else "",
        error_status=error.status if error else None,
        error_retryable=bool(getattr(error, "retryable", False)),
        finished_at=Now(),
    )
    if not ended:
        raise _EndedElsewhere
    Citation.objects.bulk_create(
        Citation(
            answer_id=answer_id,
            marker=span.marker,
            version_id=span.version_id,
            page=span.page,
            start=span.start,
            end=span.end,
            heading=span.heading,
            score=span.score,
        )
        for span in outcome.citations
    )
    return entry.spent_delta
