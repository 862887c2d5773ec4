"""Questions that a bot could not answer well, alike ones together: what its owner may want to add to its knowledge."""

from typing import Any

from django.db import models
from django.db.models import Count, Exists, Func, Max, Min, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Lower, Trim

from backend.bots.models import Bot
from backend.conversations.models import Answer, AnswerState


class Why(models.TextChoices):
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    FAILED = "failed"
    DEGRADED = "degraded"


WHICH = {
    Why.NOT_FOUND: Q(state=AnswerState.DONE, finish_reason="not_found"),
    Why.REFUSED: Q(state=AnswerState.DONE, finish_reason="safety"),
    Why.FAILED: Q(state=AnswerState.FAILED),
    Why.DEGRADED: Q(state=AnswerState.DONE, degraded=True),
}
# Case, blanks and the marks between words make no other question.
_BETWEEN = r"[\s.,;:!?¿¡…。、，！？؟]+"


def unanswered(bot: Bot, *, why: str | None = None) -> QuerySet[Answer, Any]:
    """One row for each question: how often, why (a count each), when first and last. Of a question answered anew the
    newest answer counts. Says nothing about who asked."""
    wanted = [WHICH[Why(why)]] if why else list(WHICH.values())
    newer = Answer.objects.filter(message=OuterRef("message"), replay_of=None, pk__gt=OuterRef("pk"))
    answers = Answer.objects.filter(bot_version__bot=bot, conversation__bot=bot, user__deleted_at=None, replay_of=None)
    rows: QuerySet[Answer, Any] = (
        answers.filter(_any(wanted))
        .filter(~Exists(newer))
        .annotate(asked=_asked())
        .values("asked")
        .annotate(
            question=Min("message__text"),
            count=Count("pk"),
            first_asked_at=Min("message__created_at"),
            last_asked_at=Max("message__created_at"),
            **{reason.value: Count("pk", filter=which) for reason, which in WHICH.items()},
        )
    )
    return rows


def _any(conditions: list[Q]) -> Q:
    either = Q()
    for condition in conditions:
        either |= condition
    return either


def _asked() -> Lower:
    words = Func("message__text", Value(_BETWEEN), Value(" "), Value("g"), function="regexp_replace")
    return Lower(Trim(words), output_field=models.TextField())
