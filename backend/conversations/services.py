"""What a person does in a conversation. How a turn ends is in `endings`, how it runs in `running`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, OuterRef, Subquery, Value, When
from django.db.models.functions import Now

from agent_service.contract import Turn
from backend.bots.catalogue import catalogue
from backend.bots.errors import BotNotFound
from backend.bots.models import Bot, BotVersion
from backend.bots.services import settle_embedding
from backend.conversations import endings
from backend.conversations.errors import AnswerInProgress, ConversationNotFound, NothingToRegenerate
from backend.conversations.history import ceiling_tokens, within_budget
from backend.conversations.models import Answer, AnswerState, Conversation, Message
from backend.core import request_id
from backend.core.errors import IdempotencyKeyReused, RequestInProgress
from backend.core.throttling import Limit, hit
from backend.credits import services as ledger
from backend.credits.models import Price
from backend.curated import answers as curated
from backend.curated.models import Pair
from backend.users.models import User

CURATED = "curated"
"""Stands where the model's id does, in an answer that a pair gives and in the price book."""
HISTORY_EXCHANGES = 20
TITLE_CHARS = 80


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The Idempotency-Key of a request and the fingerprint of what it asked."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class OpenedTurn:
    """A turn whose credits are held and which waits to be run; of one that a `pair` answers no model is asked."""

    answer: Answer
    bot: Bot
    version: BotVersion
    question: str
    history: list[Turn]
    price: Price
    pair: Pair | None = None


def create_conversation(*, user: User, bot_id: UUID, title: str = "") -> Conversation:
    bot = Bot.objects.usable_by(user).filter(pk=bot_id).first()
    if bot is None:
        raise BotNotFound
    conversation: Conversation = Conversation.objects.create(user=user, bot=bot, title=title)
    conversation.refresh_from_db(fields=["created_at", "updated_at"])
    return conversation


def rename_conversation(*, conversation: Conversation, title: str) -> Conversation:
    Conversation.objects.filter(pk=conversation.pk).update(title=title)
    conversation.title = title
    return conversation


def delete_conversation(*, conversation: Conversation) -> None:
    """A running answer is ended first, uncharged, so that its hold is not left behind."""
    with transaction.atomic():
        endings.end_running(conversation_id=conversation.pk)
        conversation.delete()


def ask(*, user: User, conversation_id: UUID, text: str, key: RequestKey | None = None) -> OpenedTurn | Answer:
    """Store the message, open its answer and hold the most it may cost, all or nothing.

    The answer itself where this key had been answered before. Raises ConversationNotFound, BotNotFound,
    AnswerInProgress, NotEnoughCredits, TooManyRequests, ModelUnknown, AgentError, IdempotencyKeyReused and
    RequestInProgress.
    """
    if key and (earlier := _answer_with(user, key)):
        return earlier
    return _open(_conversation_to_ask(user, conversation_id, text), text=text, key=key)


def regenerate(*, user: User, message_id: UUID, key: RequestKey | None = None) -> OpenedTurn | Answer:
    """Answer the newest message again; raises as `ask`, and NothingToRegenerate."""
    if key and (earlier := _answer_with(user, key)):
        return earlier
    message: Message | None = Message.objects.of(user).filter(pk=message_id).first()
    if message is None:
        raise ConversationNotFound
    conversation = _conversation_to_ask(user, message.conversation_id, message.text)
    if Message.objects.filter(conversation=conversation, pk__gt=message.pk).exists():
        raise NothingToRegenerate
    return _open(conversation, text=message.text, key=key, message=message)


def request_stop(*, answer: Answer) -> bool:
    """Ask whichever process runs the answer to stop; False where it had ended."""
    running = Answer.objects.filter(pk=answer.pk, state=AnswerState.STREAMING)
    return bool(running.update(stop_requested=True))


def _answer_with(user: User, key: RequestKey) -> Answer | None:
    earlier: Answer | None = Answer.objects.filter(user=user, idempotency_key=key.key).first()
    if earlier is None:
        return None
    if earlier.fingerprint != key.fingerprint:
        raise IdempotencyKeyReused
    if earlier.state == AnswerState.STREAMING:
        raise RequestInProgress(details={"answer_id": str(earlier.pk)}, retry_after=1)
    return earlier


def _conversation_to_ask(user: User, conversation_id: UUID, text: str) -> Any:
    """The conversation, with `pair`: the id of the curated pair that answers `text`, found in the same statement."""
    conversations = Conversation.objects.of(user).select_related("bot__owner", "bot__version")
    pairs = curated.matching(text, bot=OuterRef("bot")).values("pk")[:1]
    conversation = conversations.annotate(pair=Subquery(pairs)).filter(pk=conversation_id).first()
    if conversation is None:
        raise ConversationNotFound
    if not conversation.can_ask:
        raise BotNotFound
    hit(Limit("chat", settings.CHAT_LIMIT_PER_MINUTE, timedelta(minutes=1)), str(user.pk))
    conversation.user = user
    return conversation


def _open(conversation: Any, *, text: str, key: RequestKey | None, message: Message | None = None) -> OpenedTurn:
    bot, version = conversation.bot, conversation.bot.configuration
    pair = curated.answering(conversation.pair) if conversation.pair else None
    if pair is None:
        settle_embedding(bot=bot)
    model = CURATED if pair else catalogue.model(version.model)
    price = ledger.price_for(model)
    amount = max(1, curated_cost(price)) if pair else _ceiling(version, text, price)
    history = [] if pair else _history(conversation, without=message)
    try:
        with transaction.atomic():
            message = message or _store_message(conversation, text)
            answer = _store_answer(message, version, model, key)
            ledger.hold(user=conversation.user, amount=amount, reference=answer.pk, price=price)
    except IntegrityError as exc:
        raise _clash(exc, conversation.user, key) from exc
    return OpenedTurn(answer=answer, bot=bot, version=version, question=text, history=history, price=price, pair=pair)


def curated_cost(price: Price) -> int:
    """Of an answer that a pair gives: nothing, unless the price book has a price for CURATED itself."""
    return price.cost(0, 0) if price.model == CURATED else 0


def _store_message(conversation: Conversation, text: str) -> Message:
    title = Case(When(title="", then=Value(text.strip()[:TITLE_CHARS])), default="title")
    Conversation.objects.filter(pk=conversation.pk).update(title=title, updated_at=Now())
    message: Message = Message.objects.create(conversation=conversation, user=conversation.user, text=text)
    return message


def _store_answer(message: Message, version: BotVersion, model: str, key: RequestKey | None) -> Answer:
    answer: Answer = Answer.objects.create(
        conversation_id=message.conversation_id,
        message=message,
        user_id=message.user_id,
        bot_version=version,
        model=model,
        curated=model == CURATED,
        lease_until=Now() + settings.TURN_LEASE,
        idempotency_key=key.key if key else None,
        fingerprint=key.fingerprint if key else "",
        request_id=request_id.current.get(),
    )
    return answer


def _clash(exc: IntegrityError, user: User, key: RequestKey | None) -> Exception:
    """Which of our own constraints refused; anything else stays what it is."""
    diagnosis: Any = getattr(exc.__cause__, "diag", None)
    constraint = diagnosis.constraint_name if diagnosis else None
    if constraint not in ("answer_one_streaming", "answer_idempotency_key"):
        return exc
    if key and Answer.objects.filter(user=user, idempotency_key=key.key).exists():
        return RequestInProgress(retry_after=1)  # the very same request, a moment earlier
    return AnswerInProgress(retry_after=2)


def _history(conversation: Conversation, *, without: Message | None) -> list[Turn]:
    answers = Answer.objects.filter(conversation=conversation, state__in=[AnswerState.DONE, AnswerState.STOPPED])
    if without:
        answers = answers.exclude(message=without)
    rows = answers.order_by("-id").values_list("message_id", "message__text", "text")[:HISTORY_EXCHANGES]
    newest: dict[UUID, tuple[str, str]] = {}
    for message_id, question, text in rows:
        newest.setdefault(message_id, (question, text))  # of a regenerated answer the newest counts
    return within_budget(newest.values(), settings.HISTORY_BUDGET_TOKENS)


def _ceiling(version: BotVersion, question: str, price: Price) -> int:
    tokens = ceiling_tokens(
        question=question,
        instructions=version.instructions,
        history_budget=settings.HISTORY_BUDGET_TOKENS,
        passages=version.top_k,
        passage_chars=version.chunk_chars,
    )
    return price.ceiling(tokens, settings.ANSWER_LIMIT_TOKENS)
