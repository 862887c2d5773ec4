"""The work of a turn: find passages, let the agent answer, and say how it ended and what it costs."""

import asyncio
import logging
from typing import Any

from django.conf import settings
from rest_framework.serializers import DateTimeField

from agent_service import contract
from backend.agent_client import AgentClient, Scope
from backend.bots.models import Strictness
from backend.conversations import endings, quoting
from backend.conversations.endings import Outcome
from backend.conversations.errors import TurnInterrupted, TurnRestarting
from backend.conversations.history import estimated_tokens
from backend.conversations.models import AnswerState
from backend.conversations.search import found_passages
from backend.conversations.services import curated_cost
from backend.conversations.turns import Turn
from backend.core.database import in_database
from backend.core.errors import ChatSphereError
from backend.curated import answers as curated
from backend.curated.models import Pair
from backend.documents.passages import SPARE_HITS, LivePassage

logger = logging.getLogger(__name__)

_DATE = DateTimeField()


async def answer(turn: Turn, agent: AgentClient) -> Outcome:
    opened = turn.opened
    if opened.pair:
        return await _curated(turn, opened.pair)
    scope = Scope(
        user=opened.answer.user_id,
        bot=opened.bot.pk,
        namespace=opened.bot.namespace,
        max_output_tokens=settings.ANSWER_LIMIT_TOKENS,
    )
    found = await agent.retrieve(
        contract.RetrieveRequest(
            embedding=opened.bot.embedding, query=opened.question, limit=opened.version.top_k * SPARE_HITS
        ),
        scope=scope,
    )
    if opened.version.strictness == Strictness.STRICT and found.confidence < settings.RETRIEVAL_GATE:
        return await _stream(turn, agent, scope)  # without passages a strict bot says that it found nothing
    passages = await in_database(found_passages, bot=opened.bot, hits=found.hits)
    near = [passage for passage in passages if passage.score >= opened.version.threshold]
    turn.passages = near[: opened.version.top_k]
    return await _stream(turn, agent, scope)


async def _curated(turn: Turn, pair: Pair) -> Outcome:
    """The owner's words as they are, with the place where they stand, if they were read already."""
    passage = await in_database(curated.cited, pair=pair)
    turn.passages = [passage] if passage else []
    turn.show(pair.answer)
    return Outcome(
        state=AnswerState.DONE,
        text=pair.answer,
        cost=curated_cost(turn.opened.price),
        finish_reason="stop",
        input_tokens=0,
        output_tokens=0,
        citations=quoting.whole(turn.passages),
    )


async def _stream(turn: Turn, agent: AgentClient, scope: Scope) -> Outcome:
    citations = contract.CitationsEvent(citations=[], rejected=0)
    usage: contract.Usage | None = None
    async for event in agent.chat(_chat_request(turn), scope=scope):
        match event:
            case contract.DeltaEvent():
                turn.show(event.text)
            case contract.CitationsEvent():
                citations = event
            case contract.UsageEvent():
                usage = event
            case contract.DoneEvent():
                return _done(turn, citations, usage, event.finish_reason)
    raise TurnInterrupted


def _chat_request(turn: Turn) -> contract.ChatRequest:
    opened = turn.opened
    return contract.ChatRequest(
        model=opened.answer.model,
        temperature=opened.version.temperature,
        instructions=opened.version.instructions,
        strictness=Strictness(opened.version.strictness).value,
        question=opened.question,
        history=opened.history,
        passages=quoting.passages_for_prompt(turn.passages),
        max_output_tokens=settings.ANSWER_LIMIT_TOKENS,
    )


def _done(
    turn: Turn, cited: contract.CitationsEvent, usage: contract.Usage | None, finish_reason: contract.FinishReason
) -> Outcome:
    spans, rejected = quoting.checked(cited.citations, turn.passages)
    text = quoting.without_markers(turn.text, keep=[span.marker for span in spans])
    usage = usage or _estimated_usage(turn)
    free = finish_reason == "not_found" and turn.opened.version.strictness == Strictness.STRICT
    return Outcome(
        state=AnswerState.DONE,
        text=text,
        cost=0 if free else turn.opened.price.cost(usage.input_tokens, usage.output_tokens),
        finish_reason=finish_reason,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usage_estimated=usage.estimated,
        citations=spans,
        citations_rejected=cited.rejected + rejected,
    )


def _estimated_usage(turn: Turn) -> contract.Usage:
    opened = turn.opened
    prompt = [opened.version.instructions, opened.question, *(said.text for said in opened.history)]
    prompt += [passage.text for passage in turn.passages]
    return contract.Usage(
        provider="",
        model=opened.answer.model,
        input_tokens=sum(estimated_tokens(text) for text in prompt),
        output_tokens=estimated_tokens(turn.text),
        estimated=True,
    )


def outcome_of(turn: Turn, work: "asyncio.Task[Outcome]") -> Outcome:
    if work.cancelled():
        return _halted(turn)
    error = work.exception()
    if error is None:
        return work.result()
    if not isinstance(error, ChatSphereError):
        logger.error("answer %s failed", turn.answer_id, exc_info=error)
        error = TurnInterrupted()
    return _failed(turn, error)


def _halted(turn: Turn) -> Outcome:
    """Stopped, or left by its last reader: what was shown is paid for. Everything else is on the house."""
    if turn.halted_by == "restarting":
        return _failed(turn, TurnRestarting())
    if turn.halted_by not in ("stopped", "abandoned"):
        return _failed(turn, TurnInterrupted())
    if not turn.text:
        return Outcome(state=AnswerState.STOPPED)
    usage = _estimated_usage(turn)
    return Outcome(
        state=AnswerState.STOPPED,
        text=turn.text,
        cost=turn.opened.price.cost(usage.input_tokens, usage.output_tokens),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usage_estimated=True,
        citations=quoting.whole_passages(turn.text, turn.passages),
    )


def _failed(turn: Turn, error: ChatSphereError) -> Outcome:
    return Outcome(state=AnswerState.FAILED, text=quoting.without_markers(turn.text), error=error)


def closing_events(turn: Turn, outcome: Outcome, charged: int | None) -> list[tuple[str, dict[str, Any]]]:
    error = outcome.error if charged is not None else TurnInterrupted()
    if error is not None:
        return [("error", error_event(error, turn.request_id))]
    cited = [_cited(span, turn.passages[span.marker - 1]) for span in outcome.citations]
    usage = {
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "estimated": outcome.usage_estimated,
        "charged": charged,
    }
    return [
        ("citations", {"citations": cited, "rejected": outcome.citations_rejected}),
        ("usage", usage),
        ("done", {"state": outcome.state.value, "finish_reason": outcome.finish_reason}),
    ]


def error_event(error: ChatSphereError, request_id: str) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "retryable": bool(getattr(error, "retryable", False)),
        "request_id": request_id,
        "charged": 0,
    }


def _cited(span: endings.CitedSpan, passage: LivePassage) -> dict[str, Any]:
    """As `serializers.CitationOutput` shows it once it is stored."""
    return {
        "marker": span.marker,
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
