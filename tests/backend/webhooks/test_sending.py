"""A message arrives, signed, and whatever the receiver does is answered by the rules."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from backend.users.models import User
from backend.webhooks import sending, services, tasks
from backend.webhooks.models import Delivery, DeliveryState, DisabledBy, Endpoint
from backend.webhooks.sending import Result
from tests.backend.webhooks.conftest import Listen, send, told
from tests.backend.webhooks.receiver import Receiver, receiver, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def wait_in_seconds(delivery: Delivery) -> float:
    assert delivery.last_at is not None
    return (delivery.next_at - delivery.last_at).total_seconds()


def test_a_message_arrives_and_its_signature_holds(listen: Listen, receiving: Receiver) -> None:
    endpoint, secret = listen()
    delivery = send(told(endpoint, document="d1", title="Gezeiten äöü 潮汐"))
    (got,) = receiving.received
    assert got.signed_by(secret)
    assert got.headers["user-agent"] == "ChatSphere-Webhooks/1"  # and not a crawler's as well
    assert got.message == {
        "id": str(delivery.pk),
        "event": "document.ready",
        "created_at": delivery.created_at.isoformat(),
        "data": {"document": "d1", "title": "Gezeiten äöü 潮汐"},
    }
    assert (delivery.state, delivery.last_status, delivery.tries) == (DeliveryState.DELIVERED, 204, 1)


def test_another_secret_does_not_open_the_signature(listen: Listen, receiving: Receiver) -> None:
    endpoint, _ = listen()
    _, another = listen("document.failed")
    send(told(endpoint))
    assert not receiving.received[0].signed_by(another)


def test_after_a_rotation_both_secrets_hold_and_after_a_day_the_new_one(listen: Listen, receiving: Receiver) -> None:
    endpoint, old = listen()
    new = services.rotate_secret(endpoint=endpoint)
    send(told(endpoint))
    Endpoint.objects.update(previous_until=Now() - timedelta(seconds=1))
    send(told(endpoint))
    first, second = receiving.received
    assert (first.signed_by(old), first.signed_by(new)) == (True, True)
    assert (second.signed_by(old), second.signed_by(new)) == (False, True)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (500, 500, "http_status"),
        (404, 404, "http_status"),
        ((302, {"location": "/elsewhere"}), 302, "redirected"),
        ("close", None, "protocol_error"),
    ],
    ids=str,
)
def test_what_is_no_success_is_tried_again_under_the_same_id(
    listen: Listen, receiving: Receiver, answer: Any, status: int | None, code: str
) -> None:
    endpoint, secret = listen()
    receiving.answers = [answer, 204]
    delivery = send(told(endpoint))
    assert (delivery.state, delivery.last_status, delivery.last_code) == (DeliveryState.FAILED, status, code)
    Delivery.objects.update(next_at=Now())
    assert send(delivery).state == DeliveryState.DELIVERED
    first, second = receiving.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(delivery.pk)
    assert second.signed_by(secret)


def test_a_receiver_that_hangs_costs_a_try_and_no_more_than_the_time_allowed(
    listen: Listen, receiving: Receiver, settings: Settings
) -> None:
    settings.WEBHOOK_SECONDS = 0.5
    receiving.answers = [60.0]
    endpoint, _ = listen()
    delivery = send(told(endpoint))
    assert (delivery.state, delivery.last_code) == (DeliveryState.FAILED, "timeout")
    assert delivery.last_milliseconds is not None
    assert 400 < delivery.last_milliseconds < 20_000


def test_a_receiver_that_is_not_there_is_tried_again(listen: Listen, settings: Settings) -> None:
    endpoint, _ = listen()
    with receiver() as gone:
        Endpoint.objects.update(url=gone.url)
        settings.FETCH_PORTS = [gone.port]
    delivery = send(told(endpoint))
    assert (delivery.state, delivery.last_code) == (DeliveryState.FAILED, "connect_failed")


def test_a_private_address_is_not_dialled(listen: Listen, receiving: Receiver, settings: Settings) -> None:
    endpoint, _ = listen()
    settings.FETCH_ALLOWED_NETWORKS = []
    delivery = send(told(endpoint))
    assert (delivery.last_code, receiving.received) == ("address_refused", [])


def test_pauses_grow_and_the_last_failure_gives_up(listen: Listen, receiving: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_RETRY_SECONDS = [10, 60, 300]
    receiving.answers = [500]
    delivery = told(listen()[0])
    for pause in settings.WEBHOOK_RETRY_SECONDS:
        waited = wait_in_seconds(send(delivery))
        assert pause <= waited <= pause * (1 + sending.JITTER) + 0.001
        Delivery.objects.update(next_at=Now())
    assert (send(delivery).state, delivery.tries) == (DeliveryState.GIVEN_UP, 4)
    assert (send(delivery).tries, len(receiving.received)) == (4, 4)


def test_only_the_end_of_all_tries_is_worth_a_line_in_the_log(
    listen: Listen, receiving: Receiver, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WEBHOOK_RETRY_SECONDS = [10, 60]
    receiving.answers = [500]
    caplog.set_level(logging.INFO, "backend.webhooks")
    delivery = told(listen()[0])
    for _ in range(2):
        send(delivery)
        Delivery.objects.update(next_at=Now())
    assert [one.getMessage() for one in caplog.records if one.name.startswith("backend.webhooks")] == []
    send(delivery)
    [line] = [one for one in caplog.records if one.name.startswith("backend.webhooks")]
    assert line.levelname == "WARNING"
    named = f"webhook {delivery.pk} (document.ready) to endpoint {delivery.endpoint_id}"
    assert line.getMessage() == f"{named} was given up after try 3: http_status 500"


def test_before_its_time_nothing_is_tried_again(listen: Listen, receiving: Receiver) -> None:
    receiving.answers = [500]
    delivery = send(told(listen()[0]))
    assert send(delivery).tries == 1


@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [
        ("3600", 3600, 3601),
        (format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True), 6000, 7201),
        ("99999999999999999999", 86_400, 86_401),
        ("-5", 10, 12),
        ("tomorrow", 10, 12),
        ("Wed, 99 Foo 2026 00:00:00 GMT", 10, 12),
        ("Wed, 21 Oct 99999 07:28:00 GMT", 10, 12),
    ],
    ids=["seconds", "date", "endless", "negative", "words", "no date", "year 99999"],
)
def test_retry_after_is_honoured_within_a_day(
    listen: Listen, receiving: Receiver, settings: Settings, header: str, at_least: float, at_most: float
) -> None:
    settings.WEBHOOK_RETRY_SECONDS = [10]
    receiving.answers = [(503, {"retry-after": header})]
    assert at_least <= wait_in_seconds(send(told(listen()[0]))) <= at_most


def test_410_switches_the_endpoint_off_and_what_waits_is_given_up(listen: Listen, receiving: Receiver) -> None:
    endpoint, _ = listen()
    receiving.answers = [410]
    waiting = told(endpoint)
    Delivery.objects.update(next_at=Now() + timedelta(hours=1))
    delivery = send(told(endpoint))
    waiting.refresh_from_db()
    endpoint.refresh_from_db()
    assert (delivery.state, delivery.last_code) == (DeliveryState.GIVEN_UP, "gone")
    assert (waiting.state, waiting.last_code) == (DeliveryState.GIVEN_UP, "endpoint_disabled")
    assert (endpoint.enabled, endpoint.disabled_by) == (False, DisabledBy.GONE)


def test_an_endpoint_that_fails_for_days_is_switched_off_and_says_so(
    listen: Listen, receiving: Receiver, settings: Settings
) -> None:
    endpoint, _ = listen()
    receiving.answers = [500]
    send(told(endpoint))
    endpoint.refresh_from_db()
    assert endpoint.enabled
    assert endpoint.failing_since is not None
    Endpoint.objects.update(failing_since=Now() - timedelta(days=settings.WEBHOOK_FAILING_DAYS, minutes=1))
    send(told(endpoint))
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.disabled_by) == (False, DisabledBy.FAILING)


@pytest.mark.parametrize(("by", "why"), [(DisabledBy.GONE, "410 Gone"), (DisabledBy.FAILING, "for 3 days")])
def test_whose_endpoint_was_switched_off_gets_a_letter_without_its_secrets(
    listen: Listen, mailoutbox: list[EmailMessage], by: DisabledBy, why: str
) -> None:
    endpoint, secret = listen(description="Shop <b>")
    Endpoint.objects.update(url="https://hooks.example/in?token=hidden-7f3a")
    with transaction.atomic():
        services.disable(endpoint_id=endpoint.pk, by=by)
        services.disable(endpoint_id=endpoint.pk, by=by)
    (job,) = ProcrastinateJob.objects.filter(task_name=services.TELL, args={"endpoint_id": str(endpoint.pk)})
    tasks.tell_switched_off(**job.args)
    (letter,) = mailoutbox
    assert letter.to == [endpoint.owner.email]
    assert all(words in letter.body for words in (why, 'webhook "Shop <b>" at hooks.example', str(endpoint.pk)))
    assert not any(words in letter.body for words in ("hidden-7f3a", secret))


def test_what_the_owner_switched_off_themselves_is_no_news(listen: Listen) -> None:
    endpoint, _ = listen()
    services.change_endpoint(endpoint=endpoint, changes={"enabled": False})
    jobs = ProcrastinateJob.objects.filter(task_name=services.TELL, args={"endpoint_id": str(endpoint.pk)})
    assert not jobs.exists()


def test_one_success_ends_the_count_of_days(listen: Listen) -> None:
    endpoint, _ = listen()
    Endpoint.objects.update(failing_since=Now() - timedelta(days=9))
    send(told(endpoint))
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.failing_since) == (True, None)


def test_a_secret_that_cannot_be_opened_is_given_up_at_once(listen: Listen, receiving: Receiver) -> None:
    endpoint, _ = listen()
    Endpoint.objects.update(secret="sealed with a key that is lost")
    delivery = send(told(endpoint))
    assert (delivery.state, delivery.last_code) == (DeliveryState.GIVEN_UP, "secret_unreadable")
    assert receiving.received == []


def test_a_suspended_owner_is_told_nothing(listen: Listen, receiving: Receiver, owner: User) -> None:
    endpoint, _ = listen()
    delivery = told(endpoint)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert (send(delivery).state, receiving.received) == (DeliveryState.PENDING, [])


def test_a_slow_receiver_takes_two_messages_at_once_and_leaves_the_others_free(
    listen: Listen, receiving: Receiver, stranger: User, settings: Settings
) -> None:
    receiving.answers = [60.0]
    slow, _ = listen()
    with receiver() as quick:
        settings.FETCH_PORTS = [receiving.port, quick.port]
        other, _ = services.create_endpoint(owner=stranger, url=quick.url, events=["document.ready"])
        for _ in range(20):
            told(slow)
        sending.wake()
        wait_for(lambda: receiving.at_once == sending.PER_ENDPOINT)
        for _ in range(20):
            told(other)
        sending.wake()
        wait_for(lambda: len(quick.received) == 20)
        assert receiving.most_at_once == sending.PER_ENDPOINT
        services.delete_endpoint(endpoint=slow)
        receiving.release.set()
        wait_for(sending.idle)


def test_one_owners_many_endpoints_hold_half_of_the_threads(
    listen: Listen, receiving: Receiver, settings: Settings
) -> None:
    settings.WEBHOOK_CONCURRENCY = 8
    receiving.answers = [60.0]
    endpoints = [listen()[0] for _ in range(6)]
    for endpoint in endpoints:
        told(endpoint)
    sending.wake()
    wait_for(lambda: receiving.at_once == 4)
    assert sending.claim() is None
    Endpoint.objects.all().delete()
    receiving.release.set()
    wait_for(sending.idle)
    assert receiving.most_at_once == 4


def test_two_never_claim_the_same_message(listen: Listen) -> None:
    endpoint, _ = listen()
    told(endpoint)
    claimed: list[Delivery | None] = []
    threads = [threading.Thread(target=lambda: claimed.append(sending.claim())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(delivery is not None for delivery in claimed) == 1


def test_what_a_killed_sender_left_is_sent_by_the_next(listen: Listen) -> None:
    delivery = told(listen()[0])
    assert sending.claim() == delivery
    assert send(delivery).tries == 1
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert (send(delivery).state, delivery.tries) == (DeliveryState.DELIVERED, 2)


@pytest.mark.parametrize("late", [Result(500, "http_status"), Result(204)], ids=["failed", "delivered"])
def test_the_word_of_a_sender_that_was_overtaken_comes_too_late(listen: Listen, late: Result) -> None:
    told(listen()[0])
    slow = sending.claim()
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))
    quick = sending.claim()
    assert slow is not None
    assert quick is not None
    assert not sending.finish(slow, late)
    assert Delivery.objects.get().lease_until is not None
    assert sending.finish(quick, Result(204))
    assert Delivery.objects.get().state == DeliveryState.DELIVERED


def test_redelivery_sends_the_same_message_again_with_all_its_tries(listen: Listen, receiving: Receiver) -> None:
    endpoint, _ = listen()
    Delivery.objects.filter(pk=told(endpoint).pk).update(state=DeliveryState.GIVEN_UP, failures=7)
    delivery = Delivery.objects.select_related("endpoint__owner").get()
    services.redeliver(delivery=delivery)
    assert (send(delivery).state, delivery.failures) == (DeliveryState.DELIVERED, 0)
    assert receiving.received[0].headers["webhook-id"] == str(delivery.pk)


def test_old_deliveries_are_forgotten_and_open_ones_kept(listen: Listen, settings: Settings) -> None:
    endpoint, _ = listen()
    waiting, ended, recent = (told(endpoint) for _ in range(3))
    Delivery.objects.exclude(pk=waiting.pk).update(state=DeliveryState.DELIVERED)
    old = timezone.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS, minutes=1)
    Delivery.objects.filter(pk__in=[waiting.pk, ended.pk]).update(created_at=old)
    assert services.forget_old_deliveries() == 1
    assert set(Delivery.objects.values_list("pk", flat=True)) == {waiting.pk, recent.pk}


def test_neither_secret_nor_address_is_logged(
    listen: Listen, receiving: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint, secret = listen()
    Endpoint.objects.update(url=f"{receiving.url}?token=hidden-7f3a")
    receiving.answers = [500, "close"]
    for _ in range(2):
        send(told(endpoint))
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    assert receiving.received[0].path.endswith("?token=hidden-7f3a")
    assert str(Delivery.objects.latest("pk").pk) in ours
    assert not [hidden for hidden in ("hidden-7f3a", secret, secret.split("_")[1], endpoint.secret) if hidden in ours]
