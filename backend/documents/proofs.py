"""That something was deleted: asked for by whom and when, and what was counted and read back. It outlives its subject
and names nothing of the content."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from backend.documents.models import Erasure

Subject = Literal["document", "bot", "account"]
Counts = dict[str, int]

NOTHING: Counts = {
    "documents": 0,
    "versions": 0,
    "pages": 0,
    "chunks": 0,
    "files": 0,
    "vectors": 0,
    "vectors_remaining": 0,
}


def request(subject: Subject, pk: UUID, *, owner_id: UUID, by: UUID | None = None, at: datetime | None = None) -> None:
    """Once for each subject; a repeat changes nothing."""
    asked = {"requested_at": at} if at else {}
    row = Erasure(subject=subject, subject_id=pk, owner_id=owner_id, requested_by=by, counts=NOTHING, **asked)
    Erasure.objects.bulk_create([row], ignore_conflicts=True)


def add(subject: Subject, pk: UUID, counts: Counts) -> None:
    """What was deleted in one step, which may have been begun before: the counts of all steps are added up."""
    with transaction.atomic():
        row = Erasure.objects.select_for_update().filter(subject=subject, subject_id=pk).first()
        if row is not None:
            row.counts = {name: row.counts.get(name, 0) + counts.get(name, 0) for name in NOTHING}
            row.save(update_fields=["counts"])


def finish(subject: Subject, pk: UUID) -> Counts:
    """Everything is gone. Returns what was counted."""
    rows = Erasure.objects.filter(subject=subject, subject_id=pk)
    rows.filter(erased_at=None).update(erased_at=Now())
    counted: Counts | None = rows.values_list("counts", flat=True).first()
    return counted or NOTHING


def of_bots(owner_id: UUID) -> Counts:
    """What went with all bots that this person ever deleted."""
    counted = list(Erasure.objects.filter(subject="bot", owner_id=owner_id).values_list("counts", flat=True))
    return {name: sum(counts.get(name, 0) for counts in counted) for name in NOTHING}
