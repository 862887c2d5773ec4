from django.db import transaction
from django.db.models.functions import Now

from backend.conversations.errors import AnswerInProgress
from backend.conversations.models import Answer, AnswerState
from backend.core.errors import NotFound
from backend.core.text import clean_text
from backend.feedback.models import Feedback, Rating


def give(*, answer: Answer, rating: Rating, comment: str = "") -> Feedback:
    """In the place of what was said about this answer before. Raises AnswerInProgress, and NotFound where the answer
    was deleted meanwhile."""
    with transaction.atomic():
        held = Answer.objects.select_for_update(no_key=True, of=("self",)).select_related("conversation")
        found = held.filter(pk=answer.pk).first()
        if found is None:
            raise NotFound
        if found.state == AnswerState.STREAMING:
            raise AnswerInProgress(retry_after=2)
        said = {"rating": rating, "comment": clean_text(comment).strip()}
        if not Feedback.objects.filter(answer=found).update(updated_at=Now(), **said):
            Feedback.objects.create(answer=found, user_id=found.user_id, bot_id=found.conversation.bot_id, **said)
        feedback: Feedback = Feedback.objects.get(answer=found)
        return feedback


def take_back(*, answer: Answer) -> None:
    """Repeating it changes nothing."""
    Feedback.objects.filter(answer=answer).delete()
