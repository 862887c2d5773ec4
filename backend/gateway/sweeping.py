"""Holds of calls whose process died: what no answer stands behind is given back."""

import time
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from backend.conversations.models import Answer
from backend.credits import services as ledger
from backend.credits.models import Entry, Kind

BATCH = 200
LOOK_BACK = timedelta(days=1)


def release_lost_holds() -> int:
    """Settles them, uncharged; how many there were. Answers have a sweeper of their own."""
    longest = timedelta(seconds=2 * settings.AGENT_CALL_SECONDS)
    settled = Entry.objects.filter(hold=OuterRef("pk"), kind=Kind.SETTLE)
    answered = Answer.objects.filter(pk=OuterRef("reference"))
    holds = Entry.objects.filter(pk__gte=_first_id(LOOK_BACK), kind=Kind.HOLD, created_at__lt=Now() - longest)
    lost = holds.exclude(Exists(settled)).exclude(Exists(answered))[:BATCH]
    references = [hold.reference for hold in lost if hold.reference]
    for reference in references:
        ledger.settle(reference=reference, charge=0)
    return len(references)


def _first_id(age: timedelta) -> UUID:
    """Smaller than every id of an entry that is younger: ids begin with their time, in milliseconds."""
    return UUID(int=int((time.time() - age.total_seconds()) * 1000) << 80)
