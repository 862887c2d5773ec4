"""What a conversation's next answer would be given, without asking a model for it and without a charge."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection

from agent_service import contract
from backend import agent_client
from backend.bots.catalogue import catalogue
from backend.bots.errors import BotNotFound
from backend.bots.models import Bot, BotVersion
from backend.bots.services import settle_embedding
from backend.conversations.models import Conversation
from backend.conversations.passages import retrieval
from backend.conversations.questions import charging, history
from backend.conversations.questions.history import estimated_tokens
from backend.core.throttling import Limit, hit
from backend.documents.passages import LivePassage
from backend.users.models import User


@dataclass(frozen=True, slots=True)
class Context:
    """`instructions` is None where they are another's: how a bot is instructed is its owner's affair."""

    model: str
    fallbacks: list[str]
    instructions: str | None
    strictness: str
    history: list[contract.Turn]
    tokens: dict[str, int]
    ceiling: int
    query: str = ""
    passages: list[LivePassage] = field(default_factory=list)
    confidence: float | None = None


def context_of(*, conversation: Conversation, user: User, question: str = "") -> Context:
    """With the passages for `question`, where there is one. Raises BotNotFound, TooManyRequests, ModelUnknown, NoPrice
    and AgentError."""
    if not conversation.can_ask:
        raise BotNotFound
    hit(Limit("search", settings.CHAT_LIMIT_PER_MINUTE, timedelta(minutes=1)), str(user.pk))
    bot = conversation.bot
    version = bot.configuration if bot else BotVersion()
    model = catalogue.model(version.model)
    fallbacks = [other for other in catalogue.offered(version.fallbacks) if other != model]
    said = history.of(conversation)
    prices = charging.prices_of([model, *fallbacks])
    ceiling = charging.most_cost(version, question, prices, images=0, max_output_tokens=settings.ANSWER_LIMIT_TOKENS)
    found = _found(bot, version, user, question, said) if bot and question.strip() else None
    passages = found.passages if found else []
    return Context(
        model=model,
        fallbacks=fallbacks,
        instructions=version.instructions if bot is None or bot.owner_id == user.pk else None,
        strictness=version.strictness,
        history=said,
        tokens=_tokens(version, said, question, passages),
        ceiling=ceiling,
        query=found.query if found else "",
        passages=passages,
        confidence=found.confidence if found else None,
    )


def _found(bot: Bot, version: BotVersion, user: User, question: str, said: list[contract.Turn]) -> retrieval.Retrieval:
    settle_embedding(bot=bot)
    if not connection.in_atomic_block:
        connection.close()  # back to the pool, for as long as the agent is waited for
    wanted: dict[str, Any] = {"bot": bot, "version": version, "question": question, "history": said, "user": user.pk}
    return async_to_sync(_retrieve)(wanted)


async def _retrieve(wanted: dict[str, Any]) -> retrieval.Retrieval:
    async with agent_client.connect() as agent:
        return await retrieval.retrieve(agent, **wanted, asks_models=False)


def _tokens(
    version: BotVersion, said: list[contract.Turn], question: str, passages: list[LivePassage]
) -> dict[str, int]:
    parts = {
        "instructions": estimated_tokens(version.instructions),
        "history": sum(estimated_tokens(turn.text) for turn in said),
        "question": estimated_tokens(question),
        "passages": sum(estimated_tokens(passage.text) for passage in passages),
    }
    return parts | {"total": sum(parts.values())}
