"""Search in a bot's knowledge: what an answer would be made from, without the answer and without a charge."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection

from agent_service import contract
from backend import agent_client
from backend.agent_client import Scope
from backend.bots.errors import BotNotFound
from backend.bots.models import Bot
from backend.bots.services import settle_embedding
from backend.core.throttling import Limit, hit
from backend.curated import answers as curated
from backend.documents.passages import SPARE_HITS, LivePassage, live_passages
from backend.users.models import User


@dataclass(frozen=True, slots=True)
class Found:
    """`confidence` is 0 to 1: how sure it is that something here answers, by the question's weighted words."""

    passages: Sequence[LivePassage]
    confidence: float


def search(*, user: User, bot_id: UUID, query: str, limit: int) -> Found:
    """Best first. Raises BotNotFound, TooManyRequests and AgentError."""
    bot = Bot.objects.usable_by(user).filter(pk=bot_id).first()
    if bot is None:
        raise BotNotFound
    hit(Limit("search", settings.CHAT_LIMIT_PER_MINUTE, timedelta(minutes=1)), str(user.pk))
    embedding = settle_embedding(bot=bot)
    request = contract.RetrieveRequest(embedding=embedding, query=query, limit=limit * SPARE_HITS)
    scope = Scope(user=user.pk, bot=bot.pk, namespace=bot.namespace)
    if not connection.in_atomic_block:
        connection.close()  # back to the pool, for as long as the agent is waited for
    answer = async_to_sync(_retrieve)(request, scope)
    return Found(found_passages(bot=bot, hits=answer.hits)[:limit], answer.confidence)


def found_passages(*, bot: Bot, hits: Sequence[contract.Hit]) -> list[LivePassage]:
    """What may be answered from at this moment, best first."""
    return curated.still_said(live_passages(bot=bot, hits=hits))


async def _retrieve(request: contract.RetrieveRequest, scope: Scope) -> contract.RetrieveResponse:
    async with agent_client.connect() as agent:
        return await agent.retrieve(request, scope=scope)
