"""A turn in the database: its lease, and the one transaction that writes the answer and settles its hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from psycopg.types.json import Jsonb

from backend.conversations.answers.receipts import Account
from backend.conversations.answers.steps import StepTaken, store_steps
from backend.conversations.errors import TurnInterrupted
from backend.conversations.models import Answer, AnswerState, Citation
from backend.core import prepared
from backend.core.errors import ChatSphereError
from backend.credits import services as ledger

SWEEP_BATCH = 200
RENEWED_CHARS = 1_000_000


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
    """How a turn ended. `cost` is in credits by the price `price_id`, and at most the hold is charged."""

    state: AnswerState
    text: str = ""
    cost: int = 0
    price_id: UUID | None = None
    answered_by: str = ""
    degraded: bool = False
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage_estimated: bool = False
    citations: Sequence[CitedSpan] = ()
    citations_rejected: int = 0
    support: Sequence[dict[str, Any]] = ()
    withheld: int = 0
    follow_ups: Sequence[str] = ()
    same_prompt: bool | None = None
    steps: Sequence[StepTaken] = ()
    account: Account | None = None
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


def renew_leases(*, texts: Mapping[UUID, str | None]) -> dict[UUID, Lease]:
    """Renew the lease of all running turns of this process, saving what was shown so far; None where all of that is
    saved already.

    A turn missing from the result is no longer ours: it was ended elsewhere.
    """
    leases: dict[UUID, Lease] = {}
    for portion in _portions(texts):
        leases |= _renewed(portion)
    return leases


def _portions(texts: Mapping[UUID, str | None]) -> Iterator[dict[UUID, str | None]]:
    """Of about RENEWED_CHARS: the driver copies the texts of a statement several times on their way."""
    portion: dict[UUID, str | None] = {}
    chars = 0
    for answer_id, text in texts.items():
        if portion and chars + len(text or "") > RENEWED_CHARS:
            yield portion
            portion, chars = {}, 0
        portion[answer_id] = text
        chars += len(text or "")
    if portion:
        yield portion


def _renewed(texts: Mapping[UUID, str | None]) -> dict[UUID, Lease]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE conversations_answer AS answer
            SET lease_until = now() + make_interval(secs => %s), text = coalesce(shown.text, answer.text)
            FROM unnest(%s::uuid[], %s::text[]) AS shown(id, text), users_user AS asker,
                 conversations_conversation AS conversation
                 LEFT JOIN bots_bot AS bot ON bot.id = conversation.bot_id
                 LEFT JOIN users_user AS owner ON owner.id = bot.owner_id
            WHERE answer.id = shown.id AND answer.state = 'streaming' AND asker.id = answer.user_id
              AND conversation.id = answer.conversation_id
            RETURNING answer.id, answer.stop_requested,
                      asker.is_active AND (bot.id IS NULL OR owner.is_active AND bot.deleted_at IS NULL)
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
        price_id=outcome.price_id,
        input_tokens=outcome.input_tokens,
        output_tokens=outcome.output_tokens,
    )
    error = outcome.error
    ended = prepared.rows(
        _END,
        {
            "id": answer_id,
            "state": outcome.state.value,
            "text": outcome.text,
            "charged": entry.spent_delta,
            "answered_by": outcome.answered_by,
            "degraded": outcome.degraded,
            "support": Jsonb(list(outcome.support)),
            "follow_ups": Jsonb(list(outcome.follow_ups)),
            "same_prompt": outcome.same_prompt,
            "finish_reason": outcome.finish_reason,
            "input_tokens": outcome.input_tokens,
            "output_tokens": outcome.output_tokens,
            "usage_estimated": outcome.usage_estimated,
            "citations_rejected": outcome.citations_rejected,
            "error_code": error.code if error else "",
            "error_message": error.message[:500] if error else "",
            "error_status": error.status if error else None,
            "error_retryable": bool(getattr(error, "retryable", False)),
        },
    )
    if not ended:
        raise _EndedElsewhere
    receipt = [outcome.account.receipt(answer_id)] if outcome.account else []
    prepared.insert(*receipt, *(_citation(answer_id, span) for span in outcome.citations))
    store_steps(answer_id, outcome.steps)
    return entry.spent_delta


_END = """
    UPDATE conversations_answer SET
        state = %(state)s, text = %(text)s, charged = %(charged)s, answered_by = %(answered_by)s,
        degraded = %(degraded)s, support = %(support)s, follow_ups = %(follow_ups)s, same_prompt = %(same_prompt)s,
        finish_reason = %(finish_reason)s, input_tokens = %(input_tokens)s, output_tokens = %(output_tokens)s,
        usage_estimated = %(usage_estimated)s, citations_rejected = %(citations_rejected)s,
        error_code = %(error_code)s, error_message = %(error_message)s, error_status = %(error_status)s,
        error_retryable = %(error_retryable)s, finished_at = statement_timestamp()
    WHERE id = %(id)s AND state = 'streaming'
    RETURNING id
"""


def _citation(answer_id: UUID, span: CitedSpan) -> Citation:
    return Citation(
        answer_id=answer_id,
        marker=span.marker,
        version_id=span.version_id,
        page=span.page,
        start=span.start,
        end=span.end,
        heading=span.heading,
        score=span.score,
    )
