"""The last events of an answer's stream."""

from typing import Any

from rest_framework.serializers import DateTimeField

from backend.conversations.answers.endings import CitedSpan, Outcome
from backend.conversations.answers.turns import Turn
from backend.conversations.errors import TurnInterrupted
from backend.core.errors import ChatSphereError
from backend.documents.passages import LivePassage

_DATE = DateTimeField()

Ending = list[tuple[str, dict[str, Any]]]
FOLLOWED = {"citations", "follow_ups", "usage"}
"""Events of an ending that others come after."""


def closing_events(turn: Turn, outcome: Outcome, charged: int | None) -> Ending:
    """`charged` is None where the turn was ended elsewhere."""
    error = outcome.error if charged is not None else TurnInterrupted()
    if error is not None:
        return [("error", error_event(error, turn.request_id))]
    usage = {
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "estimated": outcome.usage_estimated,
        "charged": charged,
    }
    citations = {
        "citations": [_cited(turn, span, turn.passages[span.marker - 1]) for span in outcome.citations],
        "rejected": outcome.citations_rejected,
        "support": list(outcome.support),
        # Where markers were taken out, what was streamed is not what is stored, and `support` counts in this.
        "text": outcome.text if outcome.text != turn.text else None,
    }
    done = {"state": outcome.state.value, "finish_reason": outcome.finish_reason}
    return ending(citations, list(outcome.follow_ups), usage, done)


def ending(citations: dict[str, Any], follow_ups: list[str], usage: dict[str, Any], done: dict[str, Any]) -> Ending:
    """In their order; the suggested questions only where there are any."""
    suggested = [("follow_ups", {"questions": follow_ups})] if follow_ups else []
    return [("citations", citations), *suggested, ("usage", usage), ("done", done)]


def error_event(error: ChatSphereError, request_id: str) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "retryable": bool(getattr(error, "retryable", False)),
        "request_id": request_id,
        "charged": 0,
    }


def _cited(turn: Turn, span: CitedSpan, passage: LivePassage) -> dict[str, Any]:
    """As `serializers.CitationOutput` shows it once it is stored."""
    bot = turn.opened.bot
    return {
        "marker": span.marker,
        "bot": {"id": str(bot.pk), "name": bot.name} if bot else {"id": str(passage.bot_id), "name": passage.bot_name},
        "document": {"id": str(passage.document_id), "title": passage.document_title},
        "version": passage.version_number,
        "page": span.page,
        "label": passage.label,
        "heading": span.heading,
        "start": span.start,
        "end": span.end,
        "quote": span.quote,
        "link": passage.link,
        "author": passage.author,
        "dated": _DATE.to_representation(passage.dated) if passage.dated else None,
        "score": span.score,
        "outdated": False,
        "changed": passage.changed,
    }
