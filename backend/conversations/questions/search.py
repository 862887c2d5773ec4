"""Search in a bot's knowledge, or in that of all bots a person may see: what an answer would be made from; and on
request one answer over them all, which is a turn like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection

from backend import agent_client
from backend.bots.errors import BotNotFound
from backend.bots.models import Bot, BotVersion
from backend.bots.services import settle_embedding
from backend.conversations.models import Answer, Conversation, Origin
from backend.conversations.passages import across, retrieval
from backend.conversations.passages.across import Asked
from backend.conversations.passages.filtering import NO_FILTERS, Filters
from backend.conversations.passages.retrieval import Retrieval
from backend.conversations.questions.asking import throttle_chat
from backend.conversations.questions.opening import OpenedTurn, RequestKey, Wish, answer_with, open_turn
from backend.core.database import in_this_thread
from backend.core.prepared import Query
from backend.core.throttling import Limit, hit
from backend.documents.passages import LivePassage
from backend.users.models import User


@dataclass(frozen=True, slots=True)
class Found:
    """`confidence` is 0 to 1: how sure it is that something here answers, by the question's weighted words. `notes`
    tell what was left out or failed."""

    passages: Sequence[LivePassage]
    confidence: float
    notes: Sequence[str] = ()


_TO_SEARCH: Query[Bot] = Query(
    lambda user, bot: Bot.objects.usable_by(User(pk=user)).select_related("version").filter(pk=bot), user=UUID, bot=UUID
)


def search(*, user: User, bot_id: UUID, query: str, limit: int, filters: Filters = NO_FILTERS) -> Found:
    """Best first. Raises BotNotFound, TooManyRequests and AgentError."""
    bot = _TO_SEARCH.first(user=user.pk, bot=bot_id)
    if bot is None:
        raise BotNotFound
    _throttle(user)
    settle_embedding(bot=bot)
    wanted = {"bot": bot, "version": bot.configuration, "question": query, "limit": limit, "filters": filters}
    return _found(async_to_sync(_retrieve)(user, wanted))


def search_across(*, user: User, query: str, limit: int, asked: Asked) -> Found:
    """As `search`, in all bots that the user may see, or in some of them. Raises TooManyRequests and AgentError."""
    _throttle(user)
    wanted = {"version": BotVersion(), "question": query, "limit": limit, "asked": asked}
    return _found(async_to_sync(_retrieve_across)(user, wanted))


def ask_across(*, user: User, text: str, asked: Asked, key: RequestKey | None = None) -> OpenedTurn | Answer:
    """One answer over all of it, paid for as any other, in a conversation of its own. Raises as `asking.ask_once`."""
    if key and (earlier := answer_with(user, key)):
        return earlier
    throttle_chat(user)
    conversation = Conversation(user=user, bot=None, origin=Origin.SEARCH)
    return open_turn(Wish(user, conversation, text, key, across=asked))


def _throttle(user: User) -> None:
    hit(Limit("search", settings.CHAT_LIMIT_PER_MINUTE, timedelta(minutes=1)), str(user.pk))
    if not connection.in_atomic_block:
        connection.close()  # back to the pool, for as long as the agent is waited for


def _found(found: Retrieval) -> Found:
    return Found(found.passages, found.confidence, found.notes)


async def _retrieve(user: User, wanted: dict[str, Any]) -> Retrieval:
    """Asks no model: nobody pays for a search."""
    async with agent_client.connect() as agent:
        return await retrieval.retrieve(agent, user=user.pk, asks_models=False, database=in_this_thread, **wanted)


async def _retrieve_across(user: User, wanted: dict[str, Any]) -> Retrieval:
    async with agent_client.connect() as agent:
        return await across.retrieve(agent, user=user.pk, asks_models=False, database=in_this_thread, **wanted)
