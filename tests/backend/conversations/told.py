"""Conversations that were had: their rows, without an agent."""

from typing import Any

from backend.bots.models import Bot
from backend.conversations.answers.endings import CitedSpan, Outcome, finish_turn
from backend.conversations.models import Answer, AnswerState, Conversation, Message
from backend.conversations.services import create_conversation
from backend.credits import services as ledger
from backend.users.models import User

MODEL = "local:extractive"


def told(user: User, bot: Bot, question: str = "How long?", **outcome: Any) -> Answer:
    """A conversation of one question that was answered."""
    return tell(create_conversation(user=user, bot_id=bot.pk), question, **outcome)


def tell(conversation: Conversation, question: str, **outcome: Any) -> Answer:
    message = Message.objects.create(conversation=conversation, user=conversation.user, text=question)
    return tell_again(message, **outcome)


def tell_again(message: Message, **outcome: Any) -> Answer:
    """One more answer to a question; it runs on where `state` is STREAMING."""
    bot = message.conversation.bot
    assert bot is not None
    answer: Answer = Answer.objects.create(
        conversation=message.conversation,
        message=message,
        user=message.user,
        bot_version=bot.configuration,
        model=MODEL,
        lease_until="2099-01-01T00:00:00Z",
    )
    ledger.hold(user=message.user, amount=1, reference=answer.pk, price=ledger.price_for(MODEL))
    degraded = outcome.pop("degraded", False)
    given = {"state": AnswerState.DONE, "text": "Every 27 days [1].", "finish_reason": "stop", **outcome}
    if given["state"] != AnswerState.STREAMING:
        assert finish_turn(answer_id=answer.pk, outcome=Outcome(**given)) is not None
    Answer.objects.filter(pk=answer.pk).update(degraded=degraded)
    answer.refresh_from_db()
    return answer


def span(version_id: Any, marker: int = 1, start: int = 0, end: int = 10) -> CitedSpan:
    return CitedSpan(marker=marker, version_id=version_id, page=1, start=start, end=end, quote="", score=0.8)
