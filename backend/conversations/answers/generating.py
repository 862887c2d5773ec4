"""The agent's answer as it comes: what it says is shown, what it tells about it is kept."""

from collections.abc import AsyncIterable

from agent_service import contract
from backend.agent_client import AgentClient, ChatEvent, Scope
from backend.bots.models import Strictness
from backend.conversations.answers import quoting
from backend.conversations.answers.turns import Turn
from backend.conversations.errors import TurnInterrupted
from backend.conversations.questions import charging, pictures


async def generate(turn: Turn, agent: AgentClient, scope: Scope) -> None:
    """Ask the agent and take in its answer, up to its end. Raises AgentError."""
    request = chat_request(turn)
    turn.said.request = request
    await take_in(turn, agent.chat(request, scope=scope))


async def take_in(turn: Turn, events: AsyncIterable[ChatEvent]) -> None:
    """Raises TurnInterrupted where they end before the answer does."""
    said = turn.said
    async for event in events:
        match event:
            case contract.DeltaEvent():
                turn.show(event.text)
            case contract.CitationsEvent():
                said.cited = event
                turn.passed("answered_ms")
            case contract.FollowUpsEvent():
                said.follow_ups = event.questions
            case contract.UsageEvent():
                said.usage = event
            case contract.DoneEvent():
                said.finish_reason = event.finish_reason
                return
    raise TurnInterrupted


def chat_request(turn: Turn) -> contract.ChatRequest:
    opened = turn.opened
    version = opened.version
    strict = version.strictness == Strictness.STRICT
    return contract.ChatRequest(
        model=opened.answer.model,
        fallbacks=opened.fallbacks,
        temperature=version.temperature,
        instructions=version.instructions,
        strictness=Strictness(version.strictness).value,
        question=opened.question,
        history=opened.history,
        images=[pictures.on_the_wire(picture) for picture in opened.pictures],
        passages=quoting.passages_for_prompt(turn.passages),
        max_output_tokens=opened.max_output_tokens,
        stop=list(opened.stop),
        check="withhold" if strict else "mark",
        agent=version.agent,
        follow_ups=charging.FOLLOW_UPS if version.follow_ups else 0,
    )
