"""Why a document is where it is, in a sentence: what holds it up, until when, and what can be done about it.

`snapshot` reads the facts; `explain` is pure over them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q
from procrastinate.contrib.django.models import ProcrastinateWorker

from backend.core.database import database_now
from backend.documents import claims, lanes
from backend.documents.failures import FAILURES
from backend.documents.models import Document, Stage, State
from backend.documents.sweeping import STALLED_SECONDS

_AGENT_AWAY = ("agent_unavailable", "agent_timeout")
_LIMITED = ("upstream_rate_limited", "overloaded")
_MISSED_BEATS = 3


@dataclass(frozen=True, slots=True)
class Workers:
    """`alive` processes; `seen` is the last sign of any of them, null where there never was one that is still known."""

    alive: int
    seen: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """Due documents that come before this one, by the order in which workers take them, and those in work now."""

    ahead: int
    ahead_yours: int
    in_work: int
    in_work_yours: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`now` is the database's clock, which leases are set by; `place` is null for what does not wait in the queue."""

    document: Document
    now: datetime
    workers: Workers
    place: Place | None


@dataclass(frozen=True, slots=True)
class Reason:
    """`until` is when the wait ends by itself, null where it depends on something else."""

    code: str
    message: str
    hint: str = ""
    until: datetime | None = None


def snapshot(document: Document) -> Snapshot:
    """The facts of this moment. `document` comes with its version and bot."""
    now = database_now()
    beats = ProcrastinateWorker.objects.aggregate(
        alive=Count("pk", filter=Q(last_heartbeat__gt=now - timedelta(seconds=STALLED_SECONDS))),
        seen=Max("last_heartbeat"),
    )
    place = _place(document) if document.state == State.QUEUED else None
    workers = Workers(alive=lanes.processes(beats["alive"]), seen=beats["seen"])
    return Snapshot(document=document, now=now, workers=workers, place=place)


def explain(facts: Snapshot) -> Reason:
    reason = _BY_STATE[facts.document.state](facts)
    message = f"{reason.message}{_meanwhile(facts.document)}"
    return Reason(reason.code, message, reason.hint, reason.until)


def told(facts: Snapshot) -> dict[str, Any]:
    """The reason and the facts it stands on."""
    document, reason = facts.document, explain(facts)
    return {
        "code": reason.code,
        "message": reason.message,
        "hint": reason.hint,
        "until": reason.until,
        "queue": facts.place,
        "workers": facts.workers,
        "lease_until": document.lease_until,
        "failures": document.failures,
        "parser_crashes": document.parser_crashes,
        "checked_at": facts.now,
        "document": document,
    }


def _place(document: Document) -> Place:
    ahead, own = claims.ahead(document)
    working = Document.objects.filter(state=State.PROCESSING)
    in_work = working.aggregate(all=Count("pk"), own=Count("pk", filter=Q(bot__owner=document.bot.owner_id)))
    return Place(ahead=ahead, ahead_yours=own, in_work=in_work["all"], in_work_yours=in_work["own"])


def _queued(facts: Snapshot) -> Reason:
    document = facts.document
    if not facts.workers.alive:
        return _no_worker(facts)
    if document.wake_at is not None and document.wake_at > facts.now:
        return _next_try(document, document.wake_at)
    if document.parser_crashes:
        crashes = f"The reader crashed on this file {_times(document.parser_crashes)}"
        message = f"{crashes}; it is tried {_times(settings.PARSER_TRIES)} in all. {_in_line(facts.place)}"
        return Reason("parser_crashed", message, "Nothing to do yet.")
    return Reason(
        "in_queue" if facts.place and facts.place.ahead else "next",
        _in_line(facts.place),
        "Nothing to do: it is taken up by itself.",
    )


def _no_worker(facts: Snapshot) -> Reason:
    seen = facts.workers.seen
    last = f" The last sign of one was at {_clock(seen)}." if seen else ""
    return Reason(
        "no_worker",
        f"No worker is running.{last}",
        "Nothing is wrong with your file: tell the operator to start the worker.",
    )


def _next_try(document: Document, at: datetime) -> Reason:
    code = "waits_for_next_try"
    if document.error_code in _AGENT_AWAY:
        code = "agent_down"
    elif document.error_code in _LIMITED:
        code = "rate_limited"
    tries = f"{document.failures} of {settings.INGEST_TRIES} tries failed"
    message = f"{document.error_message} Next try at {_clock(at)}; {tries}."
    return Reason(code, message, f"{document.error_hint} Retry it if you do not want to wait.".strip(), at)


def _in_line(place: Place | None) -> str:
    if place is None or not place.ahead:
        return "It is the next one to be taken up."
    yours = f", {place.ahead_yours} of them yours" if place.ahead_yours else ", none of them yours"
    return f"Behind {place.ahead} document{'s' if place.ahead > 1 else ''}{yours}."


def _processing(facts: Snapshot) -> Reason:
    document = facts.document
    lease = document.lease_until or facts.now
    silent = facts.now - (lease - settings.INGEST_LEASE)
    if lease <= facts.now:
        if not facts.workers.alive:
            return _no_worker(facts)
        message = f"Its worker gave no sign for {_seconds(silent)} and has lost it; another takes it up."
        return Reason("worker_lost", message, f"Nothing to do: it happens within {settings.SWEEP_SECONDS} s.")
    if silent > _MISSED_BEATS * settings.INGEST_HEARTBEAT:
        message = (
            f"Its worker gave no sign for {_seconds(silent)}; if it stays so, it is taken over at {_clock(lease)}."
        )
        return Reason("worker_silent", message, "Nothing to do: what was finished stays finished.", lease)
    return _at_work(document)


def _at_work(document: Document) -> Reason:
    if document.stage == Stage.EXTRACTING:
        again = f" It crashed the reader {_times(document.parser_crashes)}." if document.parser_crashes else ""
        return Reason(
            "reading", f"It is being read: {_units(document.pages_done, document.pages_total, 'page')}.{again}"
        )
    if document.stage == Stage.CHUNKING:
        return Reason("dividing", "Its text is being divided into passages.")
    if document.stage == Stage.EMBEDDING:
        units = _units(document.chunks_done, document.chunks_total, "passage")
        return Reason("embedding", f"It is being made searchable: {units}.")
    return Reason("taken_up", "A worker has just taken it up.")


def _waiting(_facts: Snapshot) -> Reason:
    return Reason(
        "waits_for_your_go",
        "It was read, and waits for your go: nothing is embedded before.",
        "Look at its report, then approve, cancel or delete it.",
    )


def _ready(facts: Snapshot) -> Reason:
    document = facts.document
    if not document.enabled:
        return Reason("switched_off", "It is switched off: it is kept and answers nothing.", "Switch it on again.")
    return Reason("ready", "It answers.")


def _failed(facts: Snapshot) -> Reason:
    document = facts.document
    of_the_file = document.error_code in FAILURES  # whose hint says what to do with it: the same again would fail again
    then = "" if of_the_file else "Retry it once that is done."
    return Reason("failed", document.error_message, f"{document.error_hint} {then}".strip())


def _cancelled(_facts: Snapshot) -> Reason:
    return Reason("cancelled", "It was cancelled before it was done.", "Retry it, or delete it.")


def _deleting(_facts: Snapshot) -> Reason:
    return Reason("deleting", "It is being deleted.", "Nothing to do.")


_BY_STATE: dict[str, Callable[[Snapshot], Reason]] = {
    State.QUEUED: _queued,
    State.PROCESSING: _processing,
    State.WAITING: _waiting,
    State.READY: _ready,
    State.FAILED: _failed,
    State.CANCELLED: _cancelled,
    State.DELETING: _deleting,
}


def _meanwhile(document: Document) -> str:
    if document.state in (State.READY, State.DELETING):
        return ""
    if not document.enabled:
        return " It is switched off, and answers nothing also when it is ready."
    if document.version is None:
        return ""
    until = "" if document.state in (State.FAILED, State.CANCELLED) else " until the newer one is ready"
    return f" Version {document.version.number} answers{until}."


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"


def _seconds(span: timedelta) -> str:
    return f"{round(span.total_seconds())} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _units(done: int, total: int | None, noun: str) -> str:
    return f"{done} of {total} {noun}s" if total is not None else f"{done} {noun}s so far"
