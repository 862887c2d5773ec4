"""Who is told what. How a message gets there is in `sending`."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from backend import fetching
from backend.core import jobs, sealing
from backend.core.text import clean_text
from backend.core.throttling import Limit, hit
from backend.users.models import User
from backend.webhooks import signing
from backend.webhooks.errors import AddressRefused, EndpointDisabled, NothingToRedeliver, TooManyEndpoints
from backend.webhooks.models import OPEN, PING, Delivery, DeliveryState, DisabledBy, Endpoint

logger = logging.getLogger(__name__)

SEND = "webhooks.send"
TELL = "webhooks.tell_switched_off"
BOTH_SECRETS_FOR = timedelta(days=1)
"""After a rotation messages are signed with the old secret, too, so that the receiver has time to learn the new one."""


def emit(*, owner_id: UUID, event: str, data: Mapping[str, Any]) -> int:
    """Tell the owner's endpoints that listen to `event`; inside the transaction of what happened, so that they hear of
    it exactly when it did. `data` is plain JSON: ids, titles, codes and counts, never the text of a document.

    One query where nobody listens. Returns how many messages were written.
    """
    return emit_all(owner_id=owner_id, event=event, data=[data])


def emit_all(*, owner_id: UUID, event: str, data: Sequence[Mapping[str, Any]]) -> int:
    """As `emit`, for what happened several times at once."""
    listening = Endpoint.objects.filter(owner_id=owner_id, enabled=True, events__contains=[event])
    endpoints = list(listening.values_list("pk", flat=True))
    written = [Delivery(endpoint_id=pk, event=event, data=dict(one)) for one in data for pk in endpoints]
    if written:
        Delivery.objects.bulk_create(written)
        wake(owner_id)
    return len(written)


def wake(owner_id: UUID) -> None:
    """At most one reminder an owner waits: with one for all, whoever emits would wait for the others' transactions."""
    jobs.enqueue(SEND, queueing_lock=f"{SEND}:{owner_id}")


def create_endpoint(*, owner: User, url: str, events: Sequence[str], description: str = "") -> tuple[Endpoint, str]:
    """The endpoint and its secret, which is shown this once. Raises AddressRefused, TooManyEndpoints and
    TooManyRequests."""
    _count_action(owner)
    url = _checked(url)
    secret = signing.new_secret()
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # of parallel ones each sees those before it
        if Endpoint.objects.filter(owner=owner).count() >= settings.WEBHOOK_ENDPOINTS_LIMIT:
            raise TooManyEndpoints(details={"limit": settings.WEBHOOK_ENDPOINTS_LIMIT})
        endpoint: Endpoint = Endpoint.objects.create(
            owner=owner,
            url=url,
            events=_once_each(events),
            description=clean_text(description),
            secret=sealing.seal(secret),
        )
    endpoint.refresh_from_db()
    return endpoint, secret


def change_endpoint(*, endpoint: Endpoint, changes: Mapping[str, Any]) -> Endpoint:
    """`changes` are of url, events, description and enabled. Switched off, what waits is given up; switched on again,
    its failures are forgotten. Raises AddressRefused."""
    fields: dict[str, Any] = dict(changes)
    if "url" in fields:
        fields["url"] = _checked(fields["url"])
    if "events" in fields:
        fields["events"] = _once_each(fields["events"])
    if "description" in fields:
        fields["description"] = clean_text(fields["description"])
    enabled = fields.pop("enabled", None)
    with transaction.atomic():
        if enabled is False:
            disable(endpoint_id=endpoint.pk, by=DisabledBy.OWNER)
        elif enabled:
            fields |= {"enabled": True, "disabled_by": "", "disabled_at": None, "failing_since": None}
        Endpoint.objects.filter(pk=endpoint.pk).update(updated_at=Now(), **fields)
    endpoint.refresh_from_db()
    return endpoint


def disable(*, endpoint_id: UUID, by: DisabledBy) -> bool:
    """Switch it off, give up what waits for it, and write to the owner if it was not they who did it; inside a
    transaction. False where it was off."""
    switched = Endpoint.objects.filter(pk=endpoint_id, enabled=True).update(
        enabled=False, disabled_by=by, disabled_at=Now(), updated_at=Now()
    )
    if switched:
        if by != DisabledBy.OWNER:
            logger.warning("webhook endpoint %s was switched off: %s", endpoint_id, by)
            jobs.enqueue(TELL, endpoint_id=str(endpoint_id))
        waiting = Delivery.objects.filter(endpoint_id=endpoint_id, state__in=OPEN)
        waiting.update(state=DeliveryState.GIVEN_UP, last_code="endpoint_disabled")
    return bool(switched)


def delete_endpoint(*, endpoint: Endpoint) -> None:
    endpoint.delete()


def rotate_secret(*, endpoint: Endpoint) -> str:
    """The new secret, shown this once; the old one signs as well for a day. Raises TooManyRequests."""
    _count_action(endpoint.owner)
    secret = signing.new_secret()
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        row.previous_secret, row.secret = row.secret, sealing.seal(secret)
        row.previous_until = Now() + BOTH_SECRETS_FOR
        row.updated_at = Now()
        row.save(update_fields=["previous_secret", "previous_until", "secret", "updated_at"])
    endpoint.refresh_from_db()
    return secret


def ping(*, endpoint: Endpoint) -> Delivery:
    """A message that tells nothing, to try the endpoint. Raises EndpointDisabled and TooManyRequests."""
    _count_action(endpoint.owner)
    if not endpoint.enabled:
        raise EndpointDisabled
    with transaction.atomic():
        delivery: Delivery = Delivery.objects.create(endpoint=endpoint, event=PING, data={})
        wake(endpoint.owner_id)
    delivery.refresh_from_db()
    return delivery


def redeliver(*, delivery: Delivery) -> Delivery:
    """Send a message again, now, under its old id. Raises EndpointDisabled, NothingToRedeliver and TooManyRequests."""
    endpoint = delivery.endpoint
    _count_action(endpoint.owner)
    if not endpoint.enabled:
        raise EndpointDisabled
    resting = Delivery.objects.filter(Q(lease_until=None) | Q(lease_until__lte=Now()), pk=delivery.pk)
    with transaction.atomic():
        if not resting.update(state=DeliveryState.PENDING, failures=0, next_at=Now(), lease_until=None):
            raise NothingToRedeliver
        wake(endpoint.owner_id)
    delivery.refresh_from_db()
    return delivery


def forget_old_deliveries() -> int:
    """Delete those that ended and are older than WEBHOOK_KEEP_DAYS; how many there were."""
    ended = Delivery.objects.exclude(state__in=OPEN)
    deleted, _ = ended.filter(created_at__lt=Now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS)).delete()
    return int(deleted)


def _checked(url: str) -> str:
    if settings.PRODUCTION and not url.lower().startswith("https://"):
        raise AddressRefused("A webhook's address must begin with https://.", details={"code": "not_https"})
    try:
        return fetching.check_url(url)
    except fetching.FetchFailed as exc:
        raise AddressRefused(exc.message, details={"code": exc.code}) from exc


def _once_each(events: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(str(event) for event in events))


def _count_action(owner: User) -> None:
    hit(Limit("webhooks", settings.WEBHOOK_ACTIONS_PER_MINUTE, timedelta(minutes=1)), str(owner.pk))
