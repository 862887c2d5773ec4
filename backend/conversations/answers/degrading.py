"""What a bot still says while a model or the vector store cannot be had: passages as they stand, free of charge."""

from dataclasses import dataclass

from backend.agent_client import AgentClient, AgentError, AgentRefused
from backend.conversations.answers import concluding, gathering
from backend.conversations.answers.endings import CitedSpan, Outcome
from backend.conversations.answers.quoting import span_of
from backend.conversations.answers.stopping import before_stop
from backend.conversations.answers.turns import Turn
from backend.conversations.models import AnswerState
from backend.documents.passages import LivePassage

QUOTED = 3
QUOTE_CHARS = 600
INTRODUCTION = "The model cannot answer at the moment. These passages come closest to the question:"
NOTHING = "The model cannot answer at the moment, and no passage of the documents fits the question."
_OWN_FAULTS = {"embedding_invalid", "misconfigured", "overloaded"}


@dataclass(frozen=True, slots=True)
class _Quote:
    text: str
    span: CitedSpan


def may_degrade(turn: Turn, error: AgentError) -> bool:
    """Where the bot's owner allows it, before the first word, and while the agent service itself is there."""
    allowed = turn.opened.version.degrade and not turn.opened.replay and not turn.text
    return allowed and isinstance(error, AgentRefused) and is_down(error)


def is_down(error: AgentRefused) -> bool:
    """Whether a vendor or a store failed, as against what was asked being refused."""
    return error.code.startswith("upstream_") or error.code in _OWN_FAULTS or error.retryable


async def find_by_words(turn: Turn, agent: AgentClient) -> None:
    """Without the embedder and without the vector store. What the steps of an answer have found already stays."""
    if not turn.passages:
        await gathering.gather(turn, agent, lexical_only=True)


def quoted(turn: Turn) -> Outcome:
    """The best passages instead of an answer, each with its marker."""
    quotes = [_quote(rank, passage) for rank, passage in enumerate(turn.passages[:QUOTED], start=1)]
    paragraphs = [f"{quote.text} [{quote.span.marker}]" for quote in quotes]
    text = "\n\n".join([INTRODUCTION, *paragraphs]) if quotes else NOTHING
    turn.show(before_stop(text, turn.opened.stop))
    return Outcome(
        state=AnswerState.DONE,
        text=turn.text,
        degraded=True,
        finish_reason="degraded" if quotes else "not_found",
        input_tokens=0,
        output_tokens=0,
        citations=[quote.span for quote in quotes if f"[{quote.span.marker}]" in turn.text],
        account=concluding.account(turn),
    )


def _quote(rank: int, passage: LivePassage) -> _Quote:
    """Its beginning, cut between words."""
    end = len(passage.text)
    if end > QUOTE_CHARS:
        end = max(passage.text.rfind(" ", 0, QUOTE_CHARS), passage.text.rfind("\n", 0, QUOTE_CHARS))
        end = end if end > 0 else QUOTE_CHARS
    span = span_of(rank, passage, 0, end, passage.score)
    return _Quote(span.quote, span)
