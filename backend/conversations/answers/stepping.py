"""Answers that take steps: the agent service runs the loop, and each tool that it asks for is used here, where the text
and the rights are."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings

from agent_service import contract
from backend.agent_client import AgentClient
from backend.bots.models import Strictness
from backend.conversations.answers import gathering, generating, quoting
from backend.conversations.answers.steps import StepTaken
from backend.conversations.answers.turns import Turn
from backend.conversations.passages import retrieval
from backend.conversations.questions.allowance import Allowance
from backend.core.database import in_database
from backend.core.errors import ChatSphereError
from backend.documents.passages import LivePassage
from backend.tools.toolbox import Given, Toolbox, toolbox_for

logger = logging.getLogger(__name__)

TOOL_SECONDS = 25.0
PASSAGES_CHARS = 12_000
"""Of one result: fewer than the agent service cuts off at, so that both number the passages alike."""
CONTENT_CHARS = 12_000
PLACES_CHARS = 3_000
"""Of a result's own words, where passages come with it."""


async def generate(turn: Turn, agent: AgentClient, allowance: Allowance) -> None:
    """The answer with its steps, up to its end. Raises AgentError, TurnInterrupted."""
    desk = Desk(turn, await _toolbox(turn, agent, allowance))
    request = _request(turn, allowance, desk.toolbox)
    turn.said.request = request
    scope = replace(gathering.scope_of(turn), max_output_tokens=allowance.max_output_tokens)
    await generating.take_in(turn, agent.process(request, scope=scope, use=desk.use))


class Desk:
    """Where the calls of one answer come in. The passages that they find are the turn's, in the order of their
    numbers."""

    def __init__(self, turn: Turn, toolbox: Toolbox) -> None:
        self.toolbox = toolbox
        self._turn = turn
        self._begun = 0

    async def use(self, call: contract.ToolCallEvent) -> contract.ToolResult:
        """Never raises: whatever a tool does, the model is told and the answer goes on."""
        self._begun += 1
        number, began = self._begun, time.monotonic()
        given, message, code = Given(), "", ""
        try:
            async with asyncio.timeout(TOOL_SECONDS):
                given = await self.toolbox.use(call.name, call.arguments)
        except ChatSphereError as error:
            message, code = error.message, error.code
        except TimeoutError:
            message, code = "The tool took too long.", "timeout"
        except Exception:  # the last resort: nobody else would answer the model
            logger.exception("answer %s: the tool %s failed", self._turn.answer_id, call.name)
            message, code = "The tool failed.", "internal_error"
        milliseconds = round((time.monotonic() - began) * 1000)
        noted = given.noted if not code else message
        self._turn.took(StepTaken(number, call.name[:60], call.arguments, noted, code, milliseconds))
        if code:
            return contract.ToolResult(id=call.id, error=message[:1000] or "The tool failed.")
        passages = self._kept(given.passages)
        content = given.content[: PLACES_CHARS if passages else CONTENT_CHARS]
        return contract.ToolResult(id=call.id, content=content, passages=quoting.passages_for_prompt(passages))

    def _kept(self, found: Sequence[LivePassage]) -> list[LivePassage]:
        """Those that are shown to the model. What is new among them gets the next numbers."""
        known = {passage.chunk_id for passage in self._turn.passages}
        kept: list[LivePassage] = []
        new: list[LivePassage] = []
        room = PASSAGES_CHARS
        for passage in found:
            is_new = passage.chunk_id not in known
            if len(passage.text) > room or (is_new and len(known) >= contract.MAX_PASSAGES):
                continue
            room -= len(passage.text)
            known.add(passage.chunk_id)
            kept.append(passage)
            if is_new:
                new.append(passage)
        self._turn.passages = [*self._turn.passages, *new]
        return kept


async def _toolbox(turn: Turn, agent: AgentClient, allowance: Allowance) -> Toolbox:
    opened = turn.opened
    bot, version = opened.bot, opened.version
    assert bot is not None  # noqa: S101 - only a bot's answer takes steps

    async def search(query: str) -> Sequence[LivePassage]:
        found = await retrieval.retrieve(
            agent,
            bot=bot,
            version=version,
            question=query,
            filters=opened.filters,
            user=opened.answer.user_id,
            asks_models=False,  # the allowance is the loop's
        )
        unsure = version.strictness == Strictness.STRICT and found.confidence < settings.RETRIEVAL_GATE
        return [] if unsure else gathering.of_sources(turn, found.passages)

    toolbox: Toolbox = await in_database(toolbox_for, bot=bot, names=allowance.tools, search=search)
    return toolbox


def _request(turn: Turn, allowance: Allowance, toolbox: Toolbox) -> contract.ProcessRequest:
    plain = generating.chat_request(turn)
    told = {name: getattr(plain, name) for name in contract.ChatRequest.model_fields}
    told |= {"max_output_tokens": allowance.max_output_tokens, "stream": True}
    return contract.ProcessRequest(
        **told,
        tools=toolbox.specs[: contract.MAX_TOOLS],
        step_limit=allowance.step_limit,
        seconds_limit=allowance.seconds_limit,
        step_output_tokens=allowance.step_output_tokens,
        max_input_tokens=allowance.max_input_tokens,
    )
