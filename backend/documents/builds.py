"""Who works on the building of an index: lease and fence as with documents (see `claims`)."""

import threading
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from backend.bots.indexes import BUILD, FORGET
from backend.bots.models import BuildState, IndexBuild
from backend.core import jobs
from backend.documents.claims import Draining, LostClaim, draining
from backend.documents.failures import Failure


@dataclass(frozen=True, slots=True)
class BuildClaim:
    """`resumed` where somebody worked on it before, and may have left something behind."""

    build_id: UUID
    fence: int
    resumed: bool


def due() -> Q:
    """Nobody is at work on it, and it need not wait."""
    awake = Q(wake_at=None) | Q(wake_at__lte=Now())
    free = Q(lease_until=None) | Q(lease_until__lte=Now())
    return awake & free & Q(state=BuildState.BUILDING)


def unfinished() -> Iterable[UUID]:
    """For the sweeper."""
    return list(IndexBuild.objects.filter(due()).order_by("pk").values_list("pk", flat=True))


def take(build_id: UUID) -> BuildClaim | None:
    """None where there is nothing to do, it is too early, or somebody else has it."""
    with transaction.atomic():
        taken = IndexBuild.objects.filter(due(), pk=build_id).update(
            fence=F("fence") + 1,
            lease_until=Now() + settings.INGEST_LEASE,
            wake_at=None,
            updated_at=Now(),
        )
        if not taken:
            return None
        fence = IndexBuild.objects.values_list("fence", flat=True).get(pk=build_id)
        return BuildClaim(build_id, fence, resumed=fence > 1)


def write(claim: BuildClaim, **fields: Any) -> None:
    """Raises LostClaim."""
    held = IndexBuild.objects.filter(pk=claim.build_id, fence=claim.fence, state=BuildState.BUILDING)
    if not held.update(updated_at=Now(), **fields):
        raise LostClaim


def release(claim: BuildClaim) -> None:
    """To be taken up by another process at once."""
    with transaction.atomic():
        write(claim, lease_until=None, sending=[])
        jobs.enqueue(BUILD, queueing_lock=f"{BUILD}:{claim.build_id}", build_id=str(claim.build_id))


def postpone(claim: BuildClaim, failure: Failure, *, delay: timedelta, failures: int) -> None:
    with transaction.atomic():
        write(claim, lease_until=None, sending=[], wake_at=Now() + delay, failures=failures, **_told(failure))
        lock = f"{BUILD}:{claim.build_id}:later"
        jobs.enqueue(BUILD, queueing_lock=lock, delay=delay, build_id=str(claim.build_id))


def fail(claim: BuildClaim, failure: Failure) -> None:
    """What is there is kept; the owner may go on from it."""
    write(claim, state=BuildState.FAILED, lease_until=None, sending=[], **_told(failure))


def withdraw(claim: BuildClaim) -> None:
    """Tell whoever waits for our lease to end, to forget a cancelled index or to delete its bot, that we stopped."""
    with transaction.atomic():
        stopped = IndexBuild.objects.filter(pk=claim.build_id, fence=claim.fence + 1, state=BuildState.CANCELLED)
        if stopped.update(lease_until=None, sending=[]):
            jobs.enqueue(FORGET, build_id=str(claim.build_id))


def _told(failure: Failure) -> dict[str, str]:
    return {
        "error_code": failure.code[:60],
        "error_message": failure.message[:500],
        "error_hint": failure.hint[:500],
    }


class Pulse:
    """Tells the block whether to go on."""

    def __init__(self) -> None:
        self.lost = threading.Event()

    def check(self) -> None:
        """Raises LostClaim or Draining."""
        if self.lost.is_set():
            raise LostClaim
        if draining.is_set():
            raise Draining


@contextmanager
def kept(claim: BuildClaim) -> Any:
    """Renews the lease while the block runs; yields its Pulse."""
    pulse, stop = Pulse(), threading.Event()
    thread = threading.Thread(target=_beat, args=(claim, pulse, stop), name=f"lease {claim.build_id}", daemon=True)
    thread.start()
    try:
        yield pulse
    finally:
        stop.set()
        thread.join()


def _beat(claim: BuildClaim, pulse: Pulse, stop: threading.Event) -> None:
    try:
        while not stop.wait(settings.INGEST_HEARTBEAT.total_seconds()):
            try:
                write(claim, lease_until=Now() + settings.INGEST_LEASE)
            except LostClaim:
                pulse.lost.set()
            except DatabaseError:
                connection.close()  # not known to be lost: the next beat tells, or the next write
    finally:
        connection.close()
