"""What an answer that takes steps may use: how many, how long, and the tokens that its hold pays for."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_service import contract
from backend.bots.models import BotVersion
from backend.conversations.questions import charging
from backend.conversations.questions.charging import Prices

HALVINGS = 20


@dataclass(frozen=True, slots=True)
class Allowance:
    """`credits` are held: no use of the tokens that are allowed costs more."""

    tools: Sequence[str]
    step_limit: int
    seconds_limit: int
    step_output_tokens: int
    max_input_tokens: int
    max_output_tokens: int
    credits: int


def allowance_for(
    version: BotVersion,
    agent: contract.AgentInfo,
    question: str,
    prices: Prices,
    *,
    images: int,
    max_output_tokens: int,
) -> Allowance:
    """So many steps as the dearest answer without any could cost, or what the bot's owner allows where that is less."""
    read, written = charging.most_tokens(version, question, images=images, max_output_tokens=max_output_tokens)
    most = _Most(version.step_limit * read, min(version.step_limit * written, 65_536), prices)
    share = _share(most, version.credit_limit)
    return Allowance(
        tools=version.tools or agent.tools,
        step_limit=version.step_limit,
        seconds_limit=version.seconds_limit,
        step_output_tokens=max_output_tokens,
        max_input_tokens=max(1, int(most.read * share)),
        max_output_tokens=max(1, int(most.written * share)),
        credits=min(most.cost(share), version.credit_limit or most.cost(share)),
    )


@dataclass(frozen=True, slots=True)
class _Most:
    read: int
    written: int
    prices: Prices

    def cost(self, share: float) -> int:
        return self.prices.ceiling(input_tokens=int(self.read * share), output_tokens=int(self.written * share))


def _share(most: _Most, limit: int | None) -> float:
    """The largest part of the tokens that costs no more than `limit` credits."""
    if limit is None or most.cost(1.0) <= limit:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if most.cost(middle) <= limit else (low, middle)
    return low
