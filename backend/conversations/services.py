"""What a person does with conversations. How a question is asked and its turn begins is in `questions`, what is found
for it in `passages`, how the answer runs and ends in `answers`."""

from uuid import UUID

from django.db import transaction

from backend.bots.errors import BotNotFound
from backend.bots.models import Bot
from backend.conversations.answers import endings
from backend.conversations.models import Answer, AnswerState, Conversation
from backend.conversations.questions.asking import ask, ask_once, regenerate, replay
from backend.conversations.questions.opening import OpenedTurn, RequestKey
from backend.users.models import User

__all__ = [
    "OpenedTurn", "RequestKey", "ask", "ask_once", "create_conversation", "delete_conversation", "regenerate",
    "rename_conversation", "replay", "request_stop",
]  # fmt: skip


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


def request_stop(*, answer: Answer) -> bool:
    """Ask whichever process runs the answer to stop; False where it had ended."""
    running = Answer.objects.filter(pk=answer.pk, state=AnswerState.STREAMING)
    return bool(running.update(stop_requested=True))
