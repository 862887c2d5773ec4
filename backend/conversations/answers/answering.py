"""The work of a turn: passages are found, the agent answers, and it is said how that ended."""

import asyncio
import logging
from dataclasses import replace

from backend.agent_client import AgentClient, AgentError
from backend.conversations.answers import concluding, degrading, gathering, quoting, small_talk, stepping
from backend.conversations.answers.endings import Outcome
from backend.conversations.answers.generating import generate
from backend.conversations.answers.stopping import before_stop
from backend.conversations.answers.turns import Turn
from backend.conversations.errors import TurnInterrupted
from backend.conversations.models import AnswerState
from backend.conversations.questions.opening import curated_cost
from backend.core.database import in_database
from backend.core.errors import ChatSphereError
from backend.curated import answers as curated
from backend.curated.models import Pair

logger = logging.getLogger(__name__)


async def answer(turn: Turn, agent: AgentClient) -> Outcome:
    """Raises AgentError, TurnInterrupted."""
    if turn.opened.pair:
        return await _curated(turn, turn.opened.pair)
    if talk := small_talk.applies(turn):
        return small_talk.answered(turn, talk)
    try:
        if turn.opened.steps:
            await stepping.generate(turn, agent, turn.opened.steps)
            return concluding.finished(turn, turn.said.finish_reason or "stop")
        await gathering.gather(turn, agent)
    except AgentError as error:
        if not degrading.may_degrade(turn, error):
            raise
        logger.warning("answer %s is given by words alone: %s", turn.answer_id, error.code)
        await degrading.find_by_words(turn, agent)
        return degrading.quoted(turn)
    try:
        await generate(turn, agent, gathering.scope_of(turn))
    except AgentError as error:
        if not degrading.may_degrade(turn, error):
            raise
        logger.warning("answer %s is given without a model: %s", turn.answer_id, error.code)
        return degrading.quoted(turn)
    return concluding.finished(turn, turn.said.finish_reason or "stop")


async def _curated(turn: Turn, pair: Pair) -> Outcome:
    """The owner's words as they are, with the place where they stand, if they were read already."""
    passage = await in_database(curated.cited, pair=pair)
    turn.passages = [passage] if passage else []
    turn.show(before_stop(pair.answer, turn.opened.stop))
    return Outcome(
        state=AnswerState.DONE,
        text=turn.text,
        cost=curated_cost(turn.opened.price),
        answered_by=turn.opened.answer.model,
        finish_reason="stop",
        input_tokens=0,
        output_tokens=0,
        citations=quoting.whole(turn.passages),
        account=concluding.account(turn),
    )


def outcome_of(turn: Turn, work: "asyncio.Task[Outcome]") -> Outcome:
    return replace(_ended(turn, work), steps=turn.steps)


def _ended(turn: Turn, work: "asyncio.Task[Outcome]") -> Outcome:
    if work.cancelled():
        return concluding.halted(turn)
    error = work.exception()
    if error is None:
        return work.result()
    if not isinstance(error, ChatSphereError):
        logger.error("answer %s failed", turn.answer_id, exc_info=error)
        error = TurnInterrupted()
    return concluding.failed(turn, error)
