"""What becomes of a document whose attempt failed: another try, later each time, or the end."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from backend.documents import claims
from backend.documents.claims import Claim
from backend.documents.extraction import ExtractionFailed
from backend.documents.failures import Failure, failure_of
from backend.documents.models import Document, Stage, State
from backend.webhooks import services as webhooks
from backend.webhooks.models import Event

MAX_RETRY_DELAY = timedelta(minutes=10)


def unreadable(claim: Claim, exc: ExtractionFailed) -> None:
    """A parser that crashed gets PARSER_TRIES tries; every other reason is final. Raises LostClaim."""
    if exc.crashed:
        claims.write(claim, parser_crashes=F("parser_crashes") + 1)
        crashes = Document.objects.values_list("parser_crashes", flat=True).get(pk=claim.document_id)
        if crashes < settings.PARSER_TRIES:
            claims.release(claim)
            return
    format_name = Document.objects.filter(pk=claim.document_id).values_list("format", flat=True).first()
    failed(claim, failure_of(exc.code, format_name or ""))  # which tells whose document is gone


def failed_for_now(claim: Claim, failure: Failure, *, final: bool = False, at_least: timedelta = timedelta(0)) -> None:
    """Try again later, later each time, INGEST_TRIES times in all; then it has failed. Raises LostClaim."""
    failures = 1 + Document.objects.values_list("failures", flat=True).get(pk=claim.document_id)
    if final or failures >= settings.INGEST_TRIES:
        failed(claim, failure)
        return
    delay = min(MAX_RETRY_DELAY, max(at_least, settings.INGEST_RETRY_DELAY * 2 ** (failures - 1)))
    claims.postpone(claim, delay=delay, failures=failures, **_told(failure))


def failed(claim: Claim, failure: Failure) -> None:
    """Raises LostClaim."""
    with transaction.atomic():
        claims.write(claim, state=State.FAILED, stage=Stage.NONE, lease_until=None, **_told(failure))
        title = Document.objects.values_list("title", flat=True).get(pk=claim.document_id)
        data = {"document": str(claim.document_id), "bot": str(claim.bot_id), "title": title}
        reason = {"code": failure.code, "message": failure.message, "hint": failure.hint}
        webhooks.emit(owner_id=claim.owner_id, event=Event.DOCUMENT_FAILED, data=data | reason)


def _told(failure: Failure) -> dict[str, str]:
    return {"error_code": failure.code[:60], "error_message": failure.message[:500], "error_hint": failure.hint}
