"""What a person may have of the models themselves, without a bot."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings

from agent_service import contract
from backend.agent_client import Scope
from backend.bots.models import BotVersion, Strictness
from backend.conversations import services as conversations
from backend.conversations.models import Answer, Origin
from backend.conversations.questions.history import newest
from backend.conversations.questions.opening import Picture
from backend.conversations.services import OpenedTurn, RequestKey
from backend.core.throttling import Limit, hit
from backend.gateway.calling import waited_for
from backend.gateway.catalogue import Offered, named
from backend.users.models import User


@dataclass(frozen=True, slots=True)
class Estimate:
    """`dollars` is what the vendor would charge the operator, None where nobody told its prices; `credits` what is
    charged here."""

    offered: Offered
    credits: int
    dollars: contract.EstimateCostResponse | None


def providers() -> contract.ProvidersResponse:
    """Raises AgentError."""
    return waited_for(lambda agent: agent.providers())


def count_tokens(
    *, user: User, model: str, text: str, instructions: str, history: Sequence[dict[str, Any]]
) -> contract.CountTokensResponse:
    """By the vendor where it counts. Raises ModelNotOffered, TooManyRequests, AgentError."""
    _throttle(user)
    request = contract.CountTokensRequest(
        model=named(model).info.id,
        instructions=instructions,
        history=[contract.Turn.model_validate(turn) for turn in history],
        text=text,
    )
    return waited_for(lambda agent: agent.count_tokens(request, scope=Scope(user=user.pk)))


def estimate_cost(*, user: User, model: str, input_tokens: int, output_tokens: int) -> Estimate:
    """Of one answer. Raises ModelNotOffered, TooManyRequests, NoPrice, AgentError."""
    _throttle(user)
    offered = named(model)
    credits_ = offered.price.cost(input_tokens, output_tokens)
    if offered.info.input_price is None:
        return Estimate(offered, credits_, None)
    request = contract.EstimateCostRequest(
        model=offered.info.id, input_tokens=input_tokens, output_tokens=output_tokens
    )
    return Estimate(offered, credits_, waited_for(lambda agent: agent.estimate_cost(request)))


def chat(
    *,
    user: User,
    model: str,
    text: str,
    instructions: str = "",
    history: Sequence[dict[str, Any]] = (),
    temperature: float = 0.2,
    max_output_tokens: int | None = None,
    pictures: Sequence[Picture] = (),
    key: RequestKey | None = None,
) -> OpenedTurn | Answer:
    """Ask a model itself, about nothing but what is sent along: a turn like any other, held and settled, of no bot.

    Raises ModelNotOffered, and as `conversations.services.ask_once`.
    """
    version = BotVersion(
        model=named(model).info.id, instructions=instructions, temperature=temperature, strictness=Strictness.FREE
    )
    return conversations.ask_once(
        user=user,
        bot_id=None,
        text=text,
        before=newest((), list(history)),
        pictures=pictures,
        version=version,
        max_output_tokens=max_output_tokens,
        origin=Origin.GATEWAY,
        key=key,
    )


def _throttle(user: User) -> None:
    hit(Limit("gateway", settings.CHAT_LIMIT_PER_MINUTE, timedelta(minutes=1)), str(user.pk))
