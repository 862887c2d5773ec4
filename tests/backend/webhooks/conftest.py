from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from backend.users.models import User
from backend.webhooks import sending, services
from backend.webhooks.models import Delivery, Endpoint
from tests.backend.webhooks.receiver import Receiver, receiver, wait_for

Listen = Callable[..., tuple[Endpoint, str]]


@pytest.fixture
def receiving(settings: Settings) -> Iterator[Receiver]:
    with receiver() as running:
        settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        settings.FETCH_PORTS = [running.port]
        settings.WEBHOOK_SECONDS = 10.0
        yield running
        wait_for(sending.idle)


@pytest.fixture
def listen(owner: User, receiving: Receiver) -> Listen:
    def make(*events: str, owner: User = owner, **fields: Any) -> tuple[Endpoint, str]:
        wanted = list(events) or ["document.ready"]
        return services.create_endpoint(owner=owner, url=receiving.url, events=wanted, **fields)

    return make


def told(endpoint: Endpoint, event: str = "document.ready", **data: Any) -> Delivery:
    """The message that an event leaves for the endpoint."""
    assert services.emit(owner_id=endpoint.owner_id, event=event, data=data)
    delivery: Delivery = Delivery.objects.filter(endpoint=endpoint).latest("pk")
    return delivery


def send(delivery: Delivery) -> Delivery:
    """Send what is due, here and now, and look what became of `delivery`."""
    sending.wake()
    wait_for(sending.idle)
    delivery.refresh_from_db()
    return delivery
