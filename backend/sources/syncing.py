"""From a source to its documents. A worker may die at any line: what it had put stays, the next goes on."""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from backend.documents.failures import INTERNAL
from backend.sources import claims
from backend.sources.claims import Claim, Draining, LostClaim, TurnOver
from backend.sources.connectors import SyncFailed, SyncPostponed, registry
from backend.sources.errors import SourceKindUnknown
from backend.sources.heartbeat import Heartbeat
from backend.sources.models import Extent, ItemState, Source, SourceState
from backend.sources.running import SourceRun
from backend.webhooks import services as webhooks
from backend.webhooks.models import Event

logger = logging.getLogger(__name__)

MAX_RETRY_DELAY = timedelta(minutes=10)
UNKNOWN_KIND_HINT = "Tell the operator, or delete the source."


def sync(source_id: UUID) -> None:
    """Take the source up if it is to be had, and bring its run to an end, or as far as one turn goes."""
    claim = claims.take(source_id)
    if claim is None:
        return
    try:
        _attempt(claim)
    except LostClaim:
        claims.withdraw(claim)


def _attempt(claim: Claim) -> None:
    source = Source.objects.select_related("bot").get(pk=claim.source_id)
    run: SourceRun | None = None
    try:
        connector = registry.find(source.kind)
        with Heartbeat(claim) as heartbeat:
            run = SourceRun(source, claim, heartbeat, document_kind=connector.document_kind)
            connector.sync(run)
        _finish(claim, run)
    except (Draining, TurnOver):
        claims.release(claim, **_counts(run))
    except SyncPostponed as exc:
        told = _told(exc.code, exc.message, exc.hint)
        failures = F("failures") + 1 if exc.code else F("failures")  # in a row: a cursor that moves sets it back
        claims.postpone(claim, delay=exc.delay, failures=failures, **told, **_counts(run))
    except SyncFailed as exc:
        _fail(claim, source, _told(exc.code, exc.message, exc.hint), _counts(run))
    except SourceKindUnknown as exc:
        _fail(claim, source, _told(exc.code, exc.message, UNKNOWN_KIND_HINT), _counts(run))
    except (LostClaim, OperationalError, InterfaceError):
        raise  # without the database nothing can be written down: the lease runs out, and somebody takes it up
    except Exception:  # the worker loop: whatever it was, the row must say so and come to an end
        logger.exception("source %s: unforeseen error", claim.source_id)
        _failed_for_now(claim, source, _counts(run))


def _finish(claim: Claim, run: SourceRun) -> None:
    with transaction.atomic():
        _give_up_pending(run)
        _end(claim, state=SourceState.IDLE, synced_at=Now(), **_told("", "", ""), **_counts(run))
        counts = {name: run.counts.get(name, 0) for name in ("new", "changed", "removed", "failed")}
        _emit(run.source, Event.SOURCE_SYNCED, counts)


def _fail(claim: Claim, source: Source, told: dict[str, str], counts: dict[str, Any]) -> None:
    with transaction.atomic():
        _end(claim, state=SourceState.FAILED, **told, **counts)
        _emit(source, Event.SOURCE_FAILED, {name.removeprefix("error_"): words for name, words in told.items()})


def _emit(source: Source, event: Event, data: dict[str, Any]) -> None:
    named = {"source": str(source.pk), "bot": str(source.bot_id), "kind": source.kind, "title": source.title}
    webhooks.emit(owner_id=source.bot.owner_id, event=event, data=named | data)


def _give_up_pending(run: SourceRun) -> None:
    """What its owner wanted tried again, and the place did not offer any more."""
    message, hint = "The source does not offer it any more.", "Dismiss it, or look at the source itself."
    told = _told(code="not_offered", message=message, hint=hint)
    run.pending().update(state=ItemState.FAILED, **told)


def _end(claim: Claim, **fields: Any) -> None:
    """The run is over; the next is due when the schedule says so."""
    interval = ExpressionWrapper(F("every_minutes") * timedelta(minutes=1), output_field=DurationField())
    claims.write(
        claim,
        cursor=None,
        extent=Extent.USUAL,
        lease_until=None,
        failures=0,
        next_sync_at=Now() + interval,  # null where there is no schedule
        **fields,
    )


def _failed_for_now(claim: Claim, source: Source, counts: dict[str, Any]) -> None:
    """Try again later, later each time, INGEST_TRIES times in all; then the run is over."""
    failures = 1 + Source.objects.values_list("failures", flat=True).get(pk=claim.source_id)
    told = _told(
        INTERNAL.code, INTERNAL.message, "It is tried again with the next sync; if it stays so, tell the operator."
    )
    if failures >= settings.INGEST_TRIES:
        _fail(claim, source, told, counts)
        return
    delay = min(MAX_RETRY_DELAY, settings.INGEST_RETRY_DELAY * 2 ** (failures - 1))
    claims.postpone(claim, delay=delay, failures=failures, **told, **counts)


def _counts(run: SourceRun | None) -> dict[str, Any]:
    return {} if run is None else {"counts": run.counts}


def _told(code: str, message: str, hint: str) -> dict[str, str]:
    return {"error_code": code[:60], "error_message": message[:500], "error_hint": hint[:500]}
