"""The bots that a person's programs may name as a model."""

from itertools import chain
from typing import Any
from uuid import UUID

from backend.bots.models import Bot
from backend.openai_api.errors import ModelNotFound
from backend.users.models import User

MOST_LISTED = 1_000
"""OpenAI's list has no pages. One's own come first, then the newest public ones."""


def bot_id_of(model: str) -> UUID:
    """Raises ModelNotFound for what is not a bot's id, as for a bot that is not there."""
    try:
        return UUID(model)
    except ValueError:
        raise ModelNotFound from None


def usable(user: User) -> list[dict[str, Any]]:
    """What a list shows: an unlisted bot is used by its id and named nowhere."""
    bots = Bot.objects.listed_for(user).order_by("-id").select_related(None).only("name", "owner_id", "created_at")
    own = bots.filter(owner=user)[:MOST_LISTED]
    others = bots.exclude(owner=user)[:MOST_LISTED]
    return [shown(bot, user) for bot in chain(own, others)][:MOST_LISTED]


def one(user: User, bot_id: UUID) -> dict[str, Any]:
    """Raises ModelNotFound."""
    bot = Bot.objects.usable_by(user).filter(pk=bot_id).first()
    if bot is None:
        raise ModelNotFound
    return shown(bot, user)


def shown(bot: Bot, user: User) -> dict[str, Any]:
    """`owned_by` tells own bots from others' and names nobody."""
    owner = "you" if bot.owner_id == user.pk else "others"
    created = int(bot.created_at.timestamp())
    return {"id": str(bot.pk), "object": "model", "created": created, "owned_by": owner, "name": bot.name}
