"""/api/v1/webhooks/"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.core import sealing
from backend.core.models import IdempotencyRecord
from backend.users.models import User
from backend.webhooks import sending, services
from backend.webhooks.errors import TooManyEndpoints
from backend.webhooks.models import Delivery, DeliveryState, Endpoint
from tests.backend.webhooks.conftest import Listen, send, told
from tests.backend.webhooks.receiver import Receiver

ROOT = "/api/v1/webhooks/"
URL = "https://hooks.example/chatsphere?key=1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(owner: User, as_user: Callable[[User], APIClient]) -> APIClient:
    return as_user(owner)


def make(client: APIClient, **headers: str) -> Any:
    body = {"url": URL, "events": ["document.ready", "balance.low", "document.ready"], "description": "shop"}
    return client.post(ROOT, body, headers=headers)


def test_the_secret_is_shown_once_and_sealed(client: APIClient) -> None:
    made = make(client).json()
    secret = made.pop("secret")
    endpoint = Endpoint.objects.get()
    assert secret.startswith("whsec_")
    assert (sealing.unseal(endpoint.secret), secret in endpoint.secret) == (secret, False)
    assert made["events"] == ["document.ready", "balance.low"]
    assert client.get(f"{ROOT}{made['id']}/").json() == made == client.get(ROOT).json()["results"][0]


def test_a_repeated_request_makes_one_endpoint_and_keeps_no_secret(client: APIClient) -> None:
    first = make(client, **{"idempotency-key": "once"}).json()
    again = make(client, **{"idempotency-key": "once"}).json()
    assert again == {**first, "secret": None}
    assert Endpoint.objects.count() == 1
    assert first["secret"] not in str(IdempotencyRecord.objects.get().body)


@pytest.mark.parametrize(
    "fields",
    [
        {"events": []},
        {"events": ["document.read"]},
        {"events": "document.ready"},
        {"url": "ftp://hooks.example/"},
        {"url": "hooks.example"},
        {"url": "https://user:password@hooks.example/"},
        {"url": "https://" + "x" * 2000},
        {"url": "http://169.254.169.254/latest/"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_what_cannot_be_one_is_refused(client: APIClient, fields: dict[str, Any]) -> None:
    response = client.post(ROOT, {"url": URL, "events": ["document.ready"], **fields})
    assert response.status_code == HTTPStatus.BAD_REQUEST


def test_in_production_it_must_be_https(client: APIClient, settings: Settings) -> None:
    settings.PRODUCTION = True
    response = client.post(ROOT, {"url": "http://hooks.example/", "events": ["document.ready"]})
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.BAD_REQUEST, "address_refused")


def test_a_person_has_so_many_and_no_more(client: APIClient, settings: Settings) -> None:
    settings.WEBHOOK_ENDPOINTS_LIMIT = 1
    assert make(client).status_code == HTTPStatus.CREATED
    assert make(client).json()["code"] == "too_many_endpoints"


@pytest.mark.django_db(transaction=True)
def test_of_parallel_ones_no_more_either(owner: User, settings: Settings) -> None:
    settings.WEBHOOK_ENDPOINTS_LIMIT = 2

    def create(_: int) -> bool:
        try:
            services.create_endpoint(owner=owner, url=URL, events=["document.ready"])
        except TooManyEndpoints:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 2


def test_too_many_actions_in_a_minute_are_refused(client: APIClient, settings: Settings) -> None:
    settings.WEBHOOK_ACTIONS_PER_MINUTE = 2
    endpoint = make(client).json()["id"]
    statuses = [client.post(f"{ROOT}{endpoint}/ping/").status_code for _ in range(2)]
    assert statuses == [HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS]


def test_switched_off_what_waits_is_given_up_and_switched_on_it_begins_anew(client: APIClient) -> None:
    made = make(client).json()
    delivery = told(Endpoint.objects.get())
    off = client.patch(f"{ROOT}{made['id']}/", {"enabled": False}).json()
    delivery.refresh_from_db()
    assert (off["enabled"], off["disabled_by"]) == (False, "owner")
    assert (delivery.state, delivery.last_code) == (DeliveryState.GIVEN_UP, "endpoint_disabled")
    Endpoint.objects.update(failing_since="2020-01-01T00:00:00Z")
    on = client.patch(f"{ROOT}{made['id']}/", {"enabled": True, "url": "https://other.example/"}).json()
    assert (on["enabled"], on["disabled_by"], on["failing_since"]) == (True, "", None)
    assert on["url"] == "https://other.example/"


def test_one_that_is_off_can_neither_be_pinged_nor_redelivered_to(client: APIClient) -> None:
    made = make(client).json()
    delivery = told(Endpoint.objects.get())
    client.patch(f"{ROOT}{made['id']}/", {"enabled": False})
    for path in ("ping/", f"deliveries/{delivery.pk}/redeliver/"):
        response = client.post(f"{ROOT}{made['id']}/{path}")
        assert (response.status_code, response.json()["code"]) == (HTTPStatus.CONFLICT, "endpoint_disabled")


def test_a_message_on_its_way_is_not_sent_twice_by_hand(client: APIClient) -> None:
    made = make(client).json()
    delivery = told(Endpoint.objects.get())
    assert sending.claim() == delivery
    response = client.post(f"{ROOT}{made['id']}/deliveries/{delivery.pk}/redeliver/")
    assert response.json()["code"] == "nothing_to_redeliver"


def test_rotation_shows_a_new_secret(client: APIClient) -> None:
    made = make(client).json()
    rotated = client.post(f"{ROOT}{made['id']}/rotate/").json()["secret"]
    endpoint = Endpoint.objects.get()
    assert sealing.unseal(endpoint.secret) == rotated != made["secret"]
    assert sealing.unseal(endpoint.previous_secret) == made["secret"]


def test_deleted_it_is_gone_with_its_deliveries(client: APIClient) -> None:
    made = make(client).json()
    told(Endpoint.objects.get())
    assert client.delete(f"{ROOT}{made['id']}/").status_code == HTTPStatus.NO_CONTENT
    assert (Endpoint.objects.count(), Delivery.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_the_log_tells_what_came_of_a_ping(client: APIClient, listen: Listen, receiving: Receiver) -> None:
    endpoint, _ = listen()
    receiving.answers = [500, 204]
    pinged = client.post(f"{ROOT}{endpoint.pk}/ping/").json()
    send(Delivery.objects.get())
    log = f"{ROOT}{endpoint.pk}/deliveries/"
    (shown,) = client.get(log, {"state": "failed", "event": "ping"}).json()["results"]
    assert (shown["id"], shown["tries"], shown["last_status"]) == (pinged["id"], 1, 500)
    assert shown["next_at"] > shown["last_at"]
    assert client.post(f"{log}{shown['id']}/redeliver/").status_code == HTTPStatus.ACCEPTED
    send(Delivery.objects.get())
    (shown,) = client.get(log, {"state": "delivered"}).json()["results"]
    assert (shown["tries"], shown["last_status"], shown["next_at"]) == (2, 204, None)
    assert client.get(log, {"state": "failed"}).json()["results"] == []


def test_a_delivery_of_another_endpoint_is_not_found_under_this_one(client: APIClient) -> None:
    first, second = make(client).json(), make(client).json()
    delivery = told(Endpoint.objects.get(pk=first["id"]))
    Delivery.objects.filter(endpoint=second["id"]).delete()
    response = client.post(f"{ROOT}{second['id']}/deliveries/{delivery.pk}/redeliver/")
    assert response.status_code == HTTPStatus.NOT_FOUND


def test_the_admin_shows_neither_address_nor_secret(owner: User, admin_client: Any) -> None:
    endpoint, secret = services.create_endpoint(owner=owner, url=URL, events=["document.ready"])
    delivery = told(endpoint, title="hidden-title")
    pages = ["endpoint/", f"endpoint/{endpoint.pk}/change/", "delivery/", f"delivery/{delivery.pk}/change/"]
    for page in pages:
        shown = admin_client.get(f"/admin/webhooks/{page}").content.decode()
        assert str(endpoint.pk) in shown or str(delivery.pk) in shown
        for hidden in ("hooks.example", secret, endpoint.secret, "hidden-title"):
            assert hidden not in shown


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "webhooks", "curated", "conversations", "credits", check=True, dry_run=True)
