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
from backend.core.database import alone
from backend.core.errors import ChatSphereError
from backend.core.prepared import Along
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


def finish_turn(*, answer_id: UUID, outcome: Outcome) -> int | None:
    """Write the end of a turn and settle its hold, once: the credits charged, or None where it had ended elsewhere."""
    if not outcome.steps:
        with alone():
            charged = _end(answer_id, outcome, quietly=True)
        if charged is not None:
            return charged
    with transaction.atomic():
        return _end(answer_id, outcome)


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


def _end(answer_id: UUID, outcome: Outcome, *, quietly: bool = False) -> int | None:
    """One statement and one more for the steps. Credits charged; None, and nothing written, as `ledger.settle_with`."""
    receipt = [outcome.account.receipt(answer_id)] if outcome.account else []
    along = Along(
        rows=[*receipt, *(_citation(answer_id, span) for span in outcome.citations)],
        statements=[_END],
        values=_ended(answer_id, outcome),
        provided=_RUNNING,
    )
    entry = ledger.settle_with(
        along,
        quietly=quietly,
        reference=answer_id,
        charge=outcome.cost,
        price_id=outcome.price_id,
        input_tokens=outcome.input_tokens,
        output_tokens=outcome.output_tokens,
    )
    if entry is None:
        return None
    store_steps(answer_id, outcome.steps)
    return entry.spent_delta


def _ended(answer_id: UUID, outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    return {
        "answer_id": answer_id,
        "answer_state": outcome.state.value,
        "answer_text": outcome.text,
        "answer_answered_by": outcome.answered_by,
        "answer_degraded": outcome.degraded,
        "answer_support": Jsonb(list(outcome.support)),
        "answer_follow_ups": Jsonb(list(outcome.follow_ups)),
        "answer_same_prompt": outcome.same_prompt,
        "answer_finish_reason": outcome.finish_reason,
        "answer_input_tokens": outcome.input_tokens,
        "answer_output_tokens": outcome.output_tokens,
        "answer_usage_estimated": outcome.usage_estimated,
        "answer_citations_rejected": outcome.citations_rejected,
        "answer_error_code": error.code if error else "",
        "answer_error_message": error.message[:500] if error else "",
        "answer_error_status": error.status if error else None,
        "answer_error_retryable": bool(getattr(error, "retryable", False)),
    }


# Locked before the account is, as by everybody else who ends a turn.
_RUNNING = "SELECT FROM conversations_answer WHERE id = %(answer_id)s AND state = 'streaming' FOR UPDATE"

_END = """
    UPDATE conversations_answer SET
        state = %(answer_state)s, text = %(answer_text)s, charged = given.spent_delta,
        answered_by = %(answer_answered_by)s, degraded = %(answer_degraded)s, support = %(answer_support)s,
        follow_ups = %(answer_follow_ups)s, same_prompt = %(answer_same_prompt)s,
        finish_reason = %(answer_finish_reason)s, input_tokens = %(answer_input_tokens)s,
        output_tokens = %(answer_output_tokens)s, usage_estimated = %(answer_usage_estimated)s,
        citations_rejected = %(answer_citations_rejected)s, error_code = %(answer_error_code)s,
        error_message = %(answer_error_message)s, error_status = %(answer_error_status)s,
        error_retryable = %(answer_error_retryable)s, finished_at = statement_timestamp()
    FROM given WHERE conversations_answer.id = %(answer_id)s
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
