"""Real workers: one is killed in the middle of a delivery, one has a receiver that takes its time."""

import pytest
from django.db.models import Q

from backend.webhooks.models import Delivery, DeliveryState
from tests.backend.documents.fixtures import empty_queue
from tests.backend.documents.workers import eventually, workers
from tests.backend.webhooks.conftest import Listen, told
from tests.backend.webhooks.receiver import Receiver

__all__ = ["empty_queue"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue")]
SECONDS = 120


@pytest.fixture
def environment(receiving: Receiver) -> dict[str, str]:
    return {
        "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
        "FETCH_PORTS": str(receiving.port),
        "WEBHOOK_SECONDS": "2.0",
        "WEBHOOK_RETRY_SECONDS": "1,1,1",
    }


def arrived(delivery: Delivery, receiving: Receiver) -> bool:
    return any(got.headers["webhook-id"] == str(delivery.pk) for got in receiving.received)


def test_a_worker_killed_in_the_middle_neither_loses_nor_forgets_the_message(
    listen: Listen, receiving: Receiver, environment: dict[str, str]
) -> None:
    endpoint, secret = listen()
    receiving.answers = [60.0, 204]
    delivery = told(endpoint, document="d1")
    with workers(1, **environment) as (worker,):
        assert eventually(lambda: arrived(delivery, receiving), seconds=SECONDS)
        worker.kill()
        assert Delivery.objects.get().lease_until is not None
        worker.start()
        delivered = Delivery.objects.filter(state=DeliveryState.DELIVERED)
        assert eventually(delivered.exists, seconds=SECONDS)
        worker.kill()
    ids = {got.headers["webhook-id"] for got in receiving.received}
    assert (ids, len(receiving.received)) == ({str(delivery.pk)}, 2)
    assert all(got.signed_by(secret) for got in receiving.received)


def test_a_worker_sends_by_itself_tries_again_and_goes_when_asked_to(
    listen: Listen, receiving: Receiver, environment: dict[str, str]
) -> None:
    endpoint, _ = listen()
    receiving.answers = [500, 204]
    with workers(1, **environment) as (worker,):
        deliveries = [told(endpoint, number=number) for number in range(10)]
        left = Delivery.objects.filter(~Q(state=DeliveryState.DELIVERED))
        assert eventually(lambda: not left.exists(), seconds=SECONDS)
        assert worker.stop() == 0
    assert all(arrived(delivery, receiving) for delivery in deliveries)
    assert Delivery.objects.get(tries=2).failures == 1
