"""Messages on their way: claimed under a lease, sent, and what came of it written.

A worker sends in threads of its own beside its jobs, so that a receiver that takes its time keeps no document waiting,
and one owner's receivers never hold all of the threads. A killed worker's messages are sent by another once their
lease has ended, under the same `webhook-id`: at least once.
"""

import logging
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from backend import fetching
from backend.core import sealing
from backend.core.jobs import draining
from backend.webhooks import services, signing
from backend.webhooks.models import OPEN, Delivery, DeliveryState, DisabledBy, Endpoint

logger = logging.getLogger(__name__)

PER_ENDPOINT = 2
"""Messages on their way to one endpoint at once."""
LONGEST_PAUSE = timedelta(days=1)
"""However long a receiver asks us to wait."""
JITTER = 0.1

# One claims at a time, so that the counts below hold; it takes a millisecond or two.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks claim', 0))"

# The owner with the fewest messages on their way comes first, then whose message has waited longest.
_CLAIM = """
    WITH sending AS (
        SELECT delivery.endpoint_id, endpoint.owner_id
        FROM webhooks_delivery AS delivery JOIN webhooks_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id
        WHERE delivery.lease_until > statement_timestamp()
    ), due AS (
        SELECT endpoint_id, min(next_at) AS next_at FROM webhooks_delivery
        WHERE state IN ('pending', 'failed') AND next_at <= statement_timestamp()
            AND (lease_until IS NULL OR lease_until <= statement_timestamp())
        GROUP BY endpoint_id
    ), chosen AS (
        SELECT due.endpoint_id
        FROM due
        JOIN webhooks_endpoint AS endpoint ON endpoint.id = due.endpoint_id AND endpoint.enabled
        JOIN users_user AS owner ON owner.id = endpoint.owner_id AND owner.is_active
        WHERE (SELECT count(*) FROM sending WHERE sending.endpoint_id = endpoint.id) < %(per_endpoint)s
            AND (SELECT count(*) FROM sending WHERE sending.owner_id = endpoint.owner_id) < %(per_owner)s
        ORDER BY (SELECT count(*) FROM sending WHERE sending.owner_id = endpoint.owner_id), due.next_at
        LIMIT 1
    )
    UPDATE webhooks_delivery
    SET tries = tries + 1, lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
    WHERE id = (
        SELECT delivery.id FROM webhooks_delivery AS delivery JOIN chosen USING (endpoint_id)
        WHERE state IN ('pending', 'failed') AND next_at <= statement_timestamp()
            AND (lease_until IS NULL OR lease_until <= statement_timestamp())
        ORDER BY next_at, delivery.id LIMIT 1
    )
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one try. `status` is HTTP's, where there was an answer; `code` says why the message did not come through."""

    status: int | None = None
    code: str = ""
    retry_after: timedelta = timedelta()
    final: bool = False
    milliseconds: int = 0


_threads = 0
_counting = threading.Lock()


def wake() -> None:
    """Send what is due, in threads that end when nothing is; more of them only while there is more to send."""
    global _threads
    with _counting:
        if draining.is_set() or _threads >= settings.WEBHOOK_CONCURRENCY:
            return
        _threads += 1
    threading.Thread(target=_work, name="webhooks").start()


def idle() -> bool:
    """Whether this process sends nothing at the moment."""
    return not _threads


def _work() -> None:
    global _threads
    try:
        while not draining.is_set() and (delivery := claim()) is not None:
            wake()
            connection.close()  # no connection is held while a receiver is waited for
            finish(delivery, _send(delivery))
    except DatabaseError:
        logger.warning("webhooks: the database is away; the sweeper goes on", exc_info=True)
    finally:
        connection.close()
        with _counting:
            _threads -= 1


def claim() -> Delivery | None:
    """The next message that is due, with its endpoint, leased to the caller; None where nothing is, or the rest has to
    wait for what is on its way."""
    limits = {
        "per_endpoint": PER_ENDPOINT,
        "per_owner": max(PER_ENDPOINT, settings.WEBHOOK_CONCURRENCY // 2),
        "lease": 2 * settings.WEBHOOK_SECONDS,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME)
        cursor.execute(_CLAIM, limits)
        row = cursor.fetchone()
        return Delivery.objects.select_related("endpoint").get(pk=row[0]) if row else None


def _send(delivery: Delivery) -> Result:
    """One try, over before its lease is."""
    began = time.monotonic()
    try:
        result = _answered(_post(delivery))
    except sealing.SealBroken:
        result = Result(code="secret_unreadable", final=True)
    except fetching.FetchFailed as exc:
        result = Result(code=exc.code)
    except Exception:  # a mistake of ours is a failed try like another, and not one without an end
        logger.exception("webhook %s", delivery.pk)
        result = Result(code="internal_error")
    milliseconds = round((time.monotonic() - began) * 1000)
    return Result(result.status, result.code, result.retry_after, result.final, milliseconds)


def _post(delivery: Delivery) -> fetching.Answer:
    endpoint = delivery.endpoint
    body = signing.body_of(
        message_id=delivery.pk, event=delivery.event, created_at=delivery.created_at, data=delivery.data
    )
    sealed = [endpoint.secret]
    if endpoint.previous_secret and endpoint.previous_until and endpoint.previous_until > timezone.now():
        sealed.append(endpoint.previous_secret)
    keys = [sealing.unseal(secret) for secret in sealed]
    headers = signing.headers(message_id=delivery.pk, timestamp=int(time.time()), body=body, keys=keys)
    return fetching.post(endpoint.url, body=body, headers=headers, seconds=settings.WEBHOOK_SECONDS)


def _answered(answer: fetching.Answer) -> Result:
    if 200 <= answer.status < 300:
        return Result(answer.status)
    if answer.status == HTTPStatus.GONE:
        return Result(answer.status, "gone", final=True)
    code = "redirected" if 300 <= answer.status < 400 else "http_status"
    return Result(answer.status, code, retry_after=_retry_after(answer.headers))


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    """What the receiver asks for, in seconds or as a date; nothing for what is neither."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdecimal():
        return timedelta(seconds=min(int(asked[:9]), LONGEST_PAUSE.total_seconds()))
    try:
        date = parsedate_to_datetime(asked)
    except ValueError:
        return timedelta()
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max(date - datetime.now(UTC), timedelta()), LONGEST_PAUSE)


def finish(delivery: Delivery, result: Result) -> bool:
    """Write what came of a try, unless a later one has begun; whether it was written."""
    said = " ".join(str(part) for part in (result.code, result.status) if part)
    logger.debug("webhook %s, try %s: %s", delivery.pk, delivery.tries, said)
    fields: dict[str, Any] = {
        "lease_until": None,
        "last_status": result.status,
        "last_code": result.code,
        "last_milliseconds": result.milliseconds,
        "last_at": Now(),
        **_next(delivery, result),
    }
    with transaction.atomic():
        ours = Delivery.objects.filter(pk=delivery.pk, tries=delivery.tries, lease_until__isnull=False)
        if not (ours.filter(state__in=OPEN) if result.code else ours).update(**fields):
            ours.update(lease_until=None)  # given up meanwhile, with its endpoint
            return False
        _judge(delivery.endpoint_id, result)
    if fields["state"] == DeliveryState.GIVEN_UP:
        logger.warning(
            "webhook %s (%s) to endpoint %s was given up after try %s: %s",
            delivery.pk,
            delivery.event,
            delivery.endpoint_id,
            delivery.tries,
            said,
        )
    return True


def _next(delivery: Delivery, result: Result) -> dict[str, Any]:
    if not result.code:
        return {"state": DeliveryState.DELIVERED}
    pauses = settings.WEBHOOK_RETRY_SECONDS
    if result.final or delivery.failures >= len(pauses):
        return {"state": DeliveryState.GIVEN_UP, "failures": delivery.failures + 1}
    pause = pauses[delivery.failures] * random.uniform(1, 1 + JITTER)  # noqa: S311 - spreads the load, guards nothing
    wait = max(timedelta(seconds=pause), result.retry_after)
    return {"state": DeliveryState.FAILED, "failures": delivery.failures + 1, "next_at": Now() + wait}


def _judge(endpoint_id: UUID, result: Result) -> None:
    """Whether the endpoint is still worth the trouble."""
    endpoints = Endpoint.objects.filter(pk=endpoint_id)
    if not result.code:
        endpoints.filter(failing_since__isnull=False).update(failing_since=None)
        return
    if result.status == HTTPStatus.GONE:
        services.disable(endpoint_id=endpoint_id, by=DisabledBy.GONE)
        return
    endpoints.update(failing_since=Coalesce("failing_since", Now()))
    for_days = endpoints.filter(failing_since__lt=Now() - timedelta(days=settings.WEBHOOK_FAILING_DAYS))
    if for_days.exists():
        services.disable(endpoint_id=endpoint_id, by=DisabledBy.FAILING)
