from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from backend.bots.models import Bot
from backend.conversations.models import Answer, Conversation
from backend.core.errors import NotFound
from backend.core.throttling import Limit, hit
from backend.sharing import tokens, transcripts
from backend.sharing.errors import NothingToShare, TooManyShares
from backend.sharing.models import Share, SharedTurn

TURNS = 200
"""The newest so many turns of a conversation are shared."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a link shows. `hidden_bots` are those whose documents may no longer be quoted to the person who shared."""

    share: Share
    answers: Sequence[Answer]
    hidden_bots: set[UUID]


def share(*, conversation: Conversation) -> tuple[Share, str]:
    """The row, and the token, which nobody can read again. Raises NothingToShare, TooManyShares, and NotFound where the
    conversation was deleted meanwhile."""
    token = tokens.new()
    with transaction.atomic():
        locked = Conversation.objects.select_for_update(no_key=True, of=("self",)).filter(pk=conversation.pk).first()
        if locked is None:
            raise NotFound
        if Share.objects.filter(conversation=locked).count() >= settings.SHARES_LIMIT:
            raise TooManyShares(details={"limit": settings.SHARES_LIMIT})
        pinned = list(transcripts.given(locked).reverse().values_list("pk", flat=True)[:TURNS])
        if not pinned:
            raise NothingToShare
        made: Share = Share.objects.create(conversation=locked, title=locked.title, hash=tokens.hash_of(token))
        SharedTurn.objects.bulk_create(
            SharedTurn(share=made, answer_id=answer_id, position=position)
            for position, answer_id in enumerate(reversed(pinned), start=1)
        )
    made.refresh_from_db(fields=["created_at"])
    return made, token


def open_shared(*, token: str, address: str) -> Shared:
    """Raises NotFound, whatever the reason, and TooManyRequests."""
    hit(Limit("shared", settings.SHARED_LIMIT_PER_MINUTE, timedelta(minutes=1)), address)
    if len(token) != tokens.LENGTH or not token.isascii():
        raise NotFound
    found = (
        Share.objects.live()
        .filter(hash=tokens.hash_of(token))
        .select_related("conversation__bot", "conversation__user")
        .first()
    )
    if found is None:
        raise NotFound
    turns = SharedTurn.objects.filter(share=found).values("answer")
    answers = transcripts.read(Answer.objects.filter(pk__in=turns).order_by("message_id"))
    cited = transcripts.documents_bots(answers)
    visible = Bot.objects.usable_by(found.conversation.user).filter(pk__in=cited)
    return Shared(found, answers, cited - set(visible.values_list("pk", flat=True)))


def revoke(*, share: Share) -> None:
    """It opens nothing from now on."""
    share.delete()
