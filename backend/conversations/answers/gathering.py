"""The passages that a turn is answered from."""

from collections.abc import Sequence

from django.conf import settings

from backend.agent_client import AgentClient, Scope
from backend.bots.models import Strictness
from backend.conversations.answers.turns import Turn
from backend.conversations.passages import across, retrieval
from backend.conversations.passages.across import Asked
from backend.documents.passages import LivePassage


async def gather(turn: Turn, agent: AgentClient, *, lexical_only: bool = False) -> None:
    """Of a replay the very same again; none where a strict bot is not sure enough, which then says that it found
    nothing. Raises AgentError."""
    opened = turn.opened
    if opened.replay:
        turn.passages, turn.query = opened.replay.passages, opened.replay.query
        return
    if opened.bot is None:
        if opened.across:
            take(turn, await _across(turn, agent, opened.across, lexical_only=lexical_only))
        return
    found = await retrieval.retrieve(
        agent,
        bot=opened.bot,
        filters=opened.filters,
        version=opened.version,
        question=opened.question,
        history=opened.history,
        user=opened.answer.user_id,
        lexical_only=lexical_only,
        asks_models=not lexical_only,
    )
    take(turn, found)


async def _across(turn: Turn, agent: AgentClient, asked: Asked, *, lexical_only: bool) -> retrieval.Retrieval:
    opened = turn.opened
    return await across.retrieve(
        agent,
        user=opened.answer.user_id,
        question=opened.question,
        asked=asked,
        version=opened.version,
        history=opened.history,
        lexical_only=lexical_only,
        asks_models=not lexical_only,
    )


def take(turn: Turn, found: retrieval.Retrieval) -> None:
    turn.query = found.query
    turn.said.searching = [*turn.said.searching, *found.usage]
    turn.notes = {"confidence": round(found.confidence, 4), "terms": list(found.terms), "notes": list(found.notes)}
    turn.timings |= found.timings
    turn.passed("passages_found_ms")
    unsure = turn.opened.version.strictness == Strictness.STRICT and found.confidence < settings.RETRIEVAL_GATE
    turn.passages = [] if unsure else of_sources(turn, found.passages)


def of_sources(turn: Turn, passages: Sequence[LivePassage]) -> list[LivePassage]:
    """Those of the kinds of knowledge that the bot's agent reads."""
    sources = turn.opened.sources
    return [passage for passage in passages if not sources or passage.kind in sources]


def scope_of(turn: Turn) -> Scope:
    opened = turn.opened
    bot = opened.bot
    return Scope(
        user=opened.answer.user_id,
        bot=bot.pk if bot else opened.answer.conversation_id,
        namespace=bot.namespace if bot else None,
        max_output_tokens=opened.max_output_tokens,
    )
