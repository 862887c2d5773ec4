"""Whose documents are next: of the owners that wait, the one with the fewest in work, then the one served longest ago.
An owner's own documents come in the order in which they were added.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Min, Q
from django.db.models.functions import Now

from backend.documents.models import Document, State, Turn

BATCH_DOCUMENTS = 24
SMALL_BYTES = 64 * 1024
"""Documents up to this size share their way through: most of what they cost apart is the way."""
BATCH_BYTES = 512 * 1024

Due = tuple[UUID, int]  # document, bytes


def due() -> Q:
    """To be worked on now: queued, or left by whoever had it."""
    queued = Q(state=State.QUEUED) & (Q(wake_at=None) | Q(wake_at__lte=Now()))
    return queued | Q(state=State.PROCESSING, lease_until__lt=Now())


def owners_in_turn(*, without_owners: Collection[UUID], without: Collection[UUID]) -> list[UUID]:
    """Owners with documents that are due, fairest first."""
    waiting = _chosen(without).exclude(bot__owner__in=without_owners).order_by()
    oldest = dict(waiting.values_list("bot__owner").annotate(oldest=Min("created_at")))
    if len(oldest) < 2:
        return list(oldest)
    in_work = Document.objects.filter(state=State.PROCESSING, lease_until__gte=Now(), bot__owner__in=oldest)
    busy = dict(in_work.order_by().values_list("bot__owner").annotate(count=Count("pk")))
    served = dict(Turn.objects.filter(owner__in=oldest).values_list("owner", "taken_at"))

    def rank(owner: UUID) -> tuple[Any, ...]:
        return (busy.get(owner, 0), owner in served, served.get(owner, oldest[owner]), oldest[owner])

    return sorted(oldest, key=rank)


def lock_batch(owner: UUID, *, without: Collection[UUID]) -> list[UUID]:
    """The owner's next document, or several small ones of one bot, locked until the end of the transaction. What others
    are just taking is passed over."""
    rows = _chosen(without).filter(bot__owner=owner).order_by("created_at", "pk")
    rows = rows.select_for_update(of=("self",), skip_locked=True)
    first = rows.values_list("pk", "size", "bot").first()
    if first is None:
        return []
    pk, size, bot = first
    if size > SMALL_BYTES:
        return [pk]
    others = rows.filter(bot=bot, size__lte=SMALL_BYTES).exclude(pk=pk).values_list("pk", "size")
    return _up_to(BATCH_BYTES, [(pk, size), *others[: BATCH_DOCUMENTS - 1]])


def _chosen(without: Collection[UUID]) -> Any:
    return Document.objects.filter(due()).exclude(pk__in=without)


def _up_to(most: int, documents: Sequence[Due]) -> list[UUID]:
    chosen: list[UUID] = []
    for pk, size in documents:
        most -= size
        if chosen and most < 0:
            break
        chosen.append(pk)
    return chosen


def served(owner: UUID) -> None:
    turn = Turn(owner_id=owner, taken_at=Now())
    Turn.objects.bulk_create([turn], update_conflicts=True, unique_fields=["owner"], update_fields=["taken_at"])


def ahead(document: Document) -> tuple[int, int]:
    """How many due documents come before this one, and how many of these are its owner's: owners take turns, so of each
    other one at most as many as of its own, and one more."""
    owner = document.bot.owner_id
    own = Document.objects.filter(due(), bot__owner=owner)
    before = own.filter(Q(created_at__lt=document.created_at) | Q(created_at=document.created_at, pk__lt=document.pk))
    own_before = before.count()
    others = Document.objects.filter(due()).exclude(bot__owner=owner).order_by().values_list("bot__owner")
    waiting = dict(others.annotate(count=Count(F("pk"))))
    return own_before + sum(min(count, own_before + 1) for count in waiting.values()), own_before
