"""The ways to ask: in a conversation, again, once for a program, and once more from the same passages."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import OuterRef, Subquery

from agent_service import contract
from backend.bots.errors import BotNotFound
from backend.bots.models import Bot, BotVersion
from backend.conversations.errors import ConversationNotFound, NothingToRegenerate
from backend.conversations.models import Answer, Conversation, Message, MessageImage, Origin
from backend.conversations.passages.across import Asked
from backend.conversations.passages.filtering import NO_FILTERS, Filters
from backend.conversations.questions.opening import OpenedTurn, Picture, RequestKey, Wish, answer_with, open_turn
from backend.conversations.questions.replaying import replay_of
from backend.core.prepared import Query
from backend.core.throttling import Limit, hit
from backend.curated import answers as curated
from backend.curated.phrasing import key_of
from backend.users.models import User


def ask(
    *,
    user: User,
    conversation_id: UUID,
    text: str,
    key: RequestKey | None = None,
    pictures: Sequence[Picture] = (),
    filters: Filters = NO_FILTERS,
) -> OpenedTurn | Answer:
    """Store the message, open its answer and hold the most it may cost, all or nothing.

    The answer itself where this key had been answered before. Raises ConversationNotFound, BotNotFound,
    AnswerInProgress, NotEnoughCredits, TooManyRequests, ModelUnknown, AgentError, IdempotencyKeyReused and
    RequestInProgress.
    """
    if key and (earlier := answer_with(user, key)):
        return earlier
    conversation = _conversation_to_ask(user, conversation_id, text)
    pair_id = None if pictures or filters else conversation.pair
    asked = _asked_across(conversation, filters)
    return open_turn(Wish(user, conversation, text, key, pictures, pair_id=pair_id, filters=filters, across=asked))


def regenerate(*, user: User, message_id: UUID, key: RequestKey | None = None) -> OpenedTurn | Answer:
    """Answer the newest message again; raises as `ask`, and NothingToRegenerate."""
    if key and (earlier := answer_with(user, key)):
        return earlier
    message: Message | None = Message.objects.of(user).filter(pk=message_id).first()
    if message is None:
        raise ConversationNotFound
    conversation = _conversation_to_ask(user, message.conversation_id, message.text)
    if Message.objects.filter(conversation=conversation, pk__gt=message.pk).exists():
        raise NothingToRegenerate
    pictures = _pictures(message)
    pair_id = None if pictures else conversation.pair
    asked = _asked_across(conversation)
    return open_turn(Wish(user, conversation, message.text, key, pictures, message, pair_id, across=asked))


def ask_once(
    *,
    user: User,
    bot_id: UUID | None,
    text: str,
    before: Sequence[contract.Turn] = (),
    origin: Origin,
    key: RequestKey | None = None,
    pictures: Sequence[Picture] = (),
    version: BotVersion | None = None,
    max_output_tokens: int | None = None,
    stop: Sequence[str] = (),
) -> OpenedTurn | Answer:
    """Ask as a program does that keeps the conversation itself: `before` is what was said in it, oldest first.

    A conversation is made for it, marked with where it came from. Without a bot, `version` (never stored) says which
    model answers and how, from no passages. `max_output_tokens` lowers the deployment's limit, and the text ends before
    the first of `stop`. Raises as `ask`, without ConversationNotFound and AnswerInProgress.
    """
    if key and (earlier := answer_with(user, key)):
        return earlier
    bots = Bot.objects.usable_by(user).select_related("version")
    bot: Bot | None = bots.filter(pk=bot_id).first() if bot_id else None
    if bot_id and bot is None:
        raise BotNotFound
    throttle_chat(user)
    said = [turn.model_dump() for turn in before]
    conversation = Conversation(user=user, bot=bot, origin=origin, before=said)
    pair_id = None
    if bot and not pictures:
        pair_id = curated.matching(text, bot=bot.pk).values_list("pk", flat=True).first()
    limits: dict[str, Any] = {"max_output_tokens": max_output_tokens, "stop": stop}
    return open_turn(Wish(user, conversation, text, key, pictures, pair_id=pair_id, version=version, **limits))


def replay(*, user: User, answer_id: UUID, key: RequestKey | None = None) -> OpenedTurn | Answer:
    """Give an answer again from the very passages it was given from, with the same model and parameters.

    A new answer of the same message, which is no part of the conversation. Raises as `ask`, and NotReplayable and
    SourceDeleted.
    """
    if key and (earlier := answer_with(user, key)):
        return earlier
    answers = Answer.objects.of(user).select_related("message", "bot_version")
    answer: Answer | None = answers.filter(pk=answer_id).first()
    if answer is None:
        raise ConversationNotFound
    again = replay_of(answer)
    message = answer.message
    conversation = _conversation_to_ask(user, message.conversation_id, "")
    limits: dict[str, Any] = {"max_output_tokens": again.max_output_tokens, "stop": again.stop}
    return open_turn(Wish(user, conversation, message.text, key, _pictures(message), message, replay=again, **limits))


def _asked_across(conversation: Conversation, filters: Filters = NO_FILTERS) -> Asked | None:
    """A conversation that began with a search goes on in all bots that the user may see."""
    return Asked(filters) if conversation.bot is None and conversation.origin == Origin.SEARCH else None


_TO_ASK: Query[Conversation] = Query(
    lambda user, conversation, key: (
        Conversation.objects.of(User(pk=user))
        .filter(pk=conversation)
        .select_related("bot__owner", "bot__version")
        .annotate(pair=Subquery(curated.with_key(key, bot=OuterRef("bot")).values("pk")[:1]))
    ),
    user=UUID,
    conversation=UUID,
    key=str,
)


def _conversation_to_ask(user: User, conversation_id: UUID, text: str) -> Any:
    """The conversation, with `pair`: the id of the curated pair that answers `text`, found in the same statement."""
    conversation: Any = _TO_ASK.first(user=user.pk, conversation=conversation_id, key=key_of(text))
    if conversation is None:
        raise ConversationNotFound
    if not conversation.can_ask:
        raise BotNotFound
    throttle_chat(user)
    conversation.user = user
    return conversation


def throttle_chat(user: User) -> None:
    hit(Limit("chat", settings.CHAT_LIMIT_PER_MINUTE, timedelta(minutes=1)), str(user.pk))


def _pictures(message: Message) -> list[Picture]:
    images = MessageImage.objects.filter(message=message)
    return [Picture(image.media_type, bytes(image.data)) for image in images]
