"""The beginning of a turn: its message, its answer's row and its hold, in one transaction or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from agent_service import contract
from backend.bots.catalogue import catalogue
from backend.bots.models import Bot, BotVersion
from backend.bots.services import settle_embedding
from backend.conversations.errors import AnswerInProgress
from backend.conversations.models import Answer, AnswerState, Conversation, Message, MessageImage
from backend.conversations.passages.across import Asked
from backend.conversations.passages.filtering import NO_FILTERS, Filters
from backend.conversations.questions import agents, charging, history
from backend.conversations.questions.allowance import Allowance, allowance_for
from backend.conversations.questions.charging import Prices
from backend.conversations.questions.titles import title_of
from backend.core import request_id
from backend.core.database import alone
from backend.core.errors import IdempotencyKeyReused, RequestInProgress
from backend.core.prepared import Along
from backend.credits import services as ledger
from backend.credits.models import Price
from backend.curated import answers as curated
from backend.curated.models import Pair
from backend.documents.passages import LivePassage
from backend.users.models import User

CURATED = "curated"
"""Stands where the model's id does, in an answer that a pair gives and in the price book."""
PASSAGES = "local:passages"
"""The same, in an answer of an agent that gives the passages as they are."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The Idempotency-Key of a request and the fingerprint of what it asked."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a question; `data` as it is stored."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Replay:
    """An earlier answer that is to be given again, from the passages it was given from and within the same limits."""

    answer: Answer
    prompt_sha256: str
    query: str
    passages: list[LivePassage]
    max_output_tokens: int | None = None
    stop: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked, before anything of it is stored. `conversation` may be a new one, and `message` an earlier one.

    `version` says how it is to be answered where no bot does. `max_output_tokens` lowers the deployment's limit. The
    answer's text ends before the first of `stop`.
    """

    user: User
    conversation: Conversation
    text: str
    key: RequestKey | None = None
    pictures: Sequence[Picture] = ()
    message: Message | None = None
    pair_id: UUID | None = None
    replay: Replay | None = None
    version: BotVersion | None = None
    max_output_tokens: int | None = None
    stop: Sequence[str] = ()
    filters: Filters = NO_FILTERS
    across: Asked | None = None


@dataclass(frozen=True, slots=True)
class OpenedTurn:
    """A turn whose credits are held and which waits to be run; of one that a `pair` answers no model is asked, and one
    with an allowance for `steps` is taken step by step. `sources` are the kinds of knowledge it is given from, none for
    all.

    Without a `bot` the answer is given from no passages, unless it is asked `across` all that the user may see.
    """

    answer: Answer
    user: User
    bot: Bot | None
    version: BotVersion
    question: str
    history: list[contract.Turn]
    prices: Prices
    max_output_tokens: int
    stop: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    pair: Pair | None = None
    replay: Replay | None = None
    fallbacks: list[str] = field(default_factory=list)
    filters: Filters = NO_FILTERS
    across: Asked | None = None
    steps: Allowance | None = None
    sources: Sequence[str] = ()

    @property
    def price(self) -> Price:
        """Of the model that is asked first."""
        return self.prices.first


def open_turn(wish: Wish) -> OpenedTurn:
    """Raises NotEnoughCredits, ModelUnknown, NoPrice, AnswerInProgress, RequestInProgress and AgentError."""
    bot = wish.conversation.bot
    version = _version(wish)
    pair = curated.answering(wish.pair_id) if wish.pair_id else None
    if bot is not None and pair is None:
        settle_embedding(bot=bot)
    helper = agents.agent_of(version) if bot is not None and pair is None else None
    version = agents.as_told_by(helper, version)
    models = [CURATED] if pair else [PASSAGES] if helper and helper.kind == "passages" else _models(wish, version)
    prices = charging.prices_of(models)
    steps = _allowance(wish, version, helper, prices)
    said = [] if pair else history.of(wish.conversation, before=wish.message)
    try:
        amount = steps.credits if steps else _most(wish, version, prices, pair)
        with transaction.atomic() if wish.conversation._state.adding or wish.pictures else alone():  # noqa: SLF001
            answer = _stored(wish, version, models[0], amount, prices.first)
    except IntegrityError as exc:
        raise _clash(exc, wish) from exc
    return OpenedTurn(
        answer=answer, user=wish.user, bot=bot, version=version, question=wish.text, history=said, prices=prices,
        max_output_tokens=_limit(wish), stop=wish.stop, pictures=wish.pictures, pair=pair, replay=wish.replay,
        fallbacks=models[1:], filters=wish.filters, across=wish.across, steps=steps,
        sources=helper.sources if helper else (),
    )  # fmt: skip


def answer_with(user: User, key: RequestKey) -> Answer | None:
    """The answer that this key was answered with. Raises IdempotencyKeyReused, RequestInProgress."""
    earlier: Answer | None = Answer.objects.filter(user=user, idempotency_key=key.key).first()
    if earlier is None:
        return None
    if earlier.fingerprint != key.fingerprint:
        raise IdempotencyKeyReused
    if earlier.state == AnswerState.STREAMING:
        raise RequestInProgress(details={"answer_id": str(earlier.pk)}, retry_after=1)
    return earlier


def curated_cost(price: Price) -> int:
    """Of an answer that a pair gives: nothing, unless the price book has a price for CURATED itself."""
    return price.cost(0, 0) if price.model == CURATED else 0


def _version(wish: Wish) -> BotVersion:
    """How the answer is made: of a replay as its first was; where no bot does, as a new bot would."""
    bot = wish.conversation.bot
    of_bot = wish.replay.answer.bot_version if wish.replay else bot.configuration if bot else None
    return of_bot or wish.version or BotVersion()


def _limit(wish: Wish) -> int:
    """Tokens that the answer may have."""
    limit: int = settings.ANSWER_LIMIT_TOKENS
    return max(1, min(limit, wish.max_output_tokens or limit))


def _models(wish: Wish, version: BotVersion) -> list[str]:
    """The model that is asked, then its fallbacks. Raises ModelUnknown."""
    if wish.replay:
        return [catalogue.model(wish.replay.answer.answered_by or wish.replay.answer.model)]
    first = catalogue.model(version.model)
    return [first, *(model for model in catalogue.offered(version.fallbacks) if model != first)]


def _allowance(wish: Wish, version: BotVersion, helper: contract.AgentInfo | None, prices: Prices) -> Allowance | None:
    """A replay takes no steps again: it is given from the passages that they found."""
    if helper is None or helper.kind != "react" or wish.replay:
        return None
    images, limit = len(wish.pictures), _limit(wish)
    return allowance_for(version, helper, wish.text, prices, images=images, max_output_tokens=limit)


def _most(wish: Wish, version: BotVersion, prices: Prices, pair: Pair | None) -> int:
    """Credits to be held."""
    if pair:
        return max(1, curated_cost(prices.first))
    return charging.most_cost(version, wish.text, prices, images=len(wish.pictures), max_output_tokens=_limit(wish))


def _stored(wish: Wish, version: BotVersion, model: str, amount: int, price: Price) -> Answer:
    """With its hold of so many credits in the same statement."""
    conversation = wish.conversation
    title = title_of(wish.text)
    new = conversation._state.adding  # noqa: SLF001 - Django's own way to say that it is not stored yet
    if new:
        conversation.title = title
        conversation.save(force_insert=True)
    message = wish.message or Message(conversation=conversation, user=wish.user, text=wish.text)
    answer = _answer(wish, message, version, model)
    along = Along(
        rows=[answer] if wish.message else [message, answer],
        statements=[] if new or wish.message else [_TALKED],
        values={"conversation": conversation.pk, "title": title},
        expressions={"lease_until": ("statement_timestamp() + %s", settings.TURN_LEASE)},
    )
    ledger.hold(user=wish.user, amount=amount, reference=answer.pk, price=price, along=along)
    if wish.pictures and not wish.message:
        MessageImage.objects.bulk_create(
            MessageImage(message=message, position=position, media_type=picture.media_type, data=picture.data)
            for position, picture in enumerate(wish.pictures, start=1)
        )
    return answer


_TALKED = """
    UPDATE conversations_conversation
    SET title = coalesce(nullif(title, ''), %(title)s), updated_at = statement_timestamp()
    FROM given WHERE conversations_conversation.id = %(conversation)s
"""


def _answer(wish: Wish, message: Message, version: BotVersion, model: str) -> Answer:
    """Not stored yet."""
    return Answer(
        conversation_id=message.conversation_id,
        message=message,
        user_id=message.user_id,
        bot_version=None if version._state.adding else version,  # noqa: SLF001 - no bot's own
        replay_of=wish.replay.answer if wish.replay else None,
        model=model,
        curated=model == CURATED,
        idempotency_key=wish.key.key if wish.key else None,
        fingerprint=wish.key.fingerprint if wish.key else "",
        request_id=request_id.current.get(),
    )


def _clash(exc: IntegrityError, wish: Wish) -> Exception:
    """Which of our own constraints refused; anything else stays what it is."""
    diagnosis: Any = getattr(exc.__cause__, "diag", None)
    constraint = diagnosis.constraint_name if diagnosis else None
    if constraint not in ("answer_one_streaming", "answer_idempotency_key"):
        return exc
    if wish.key and Answer.objects.filter(user=wish.user, idempotency_key=wish.key.key).exists():
        return RequestInProgress(retry_after=1)  # the very same request, a moment earlier
    return AnswerInProgress(retry_after=2)
