"""R3 in short form: one effect for one key, however often and however parallel it is sent."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.core.models import IdempotencyRecord
from backend.users.models import User

AsUser = Callable[[User], APIClient]
PARALLEL = 20


def create(client: APIClient, key: str, name: str = "Moon") -> tuple[int, str]:
    try:
        response = client.post("/api/v1/bots/", {"name": name}, headers={"idempotency-key": key})
        return response.status_code, str(response.json().get("id") or response.json()["code"])
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_with_one_key_have_one_effect(as_user: AsUser, owner: User) -> None:
    client = as_user(owner)
    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(lambda _: create(client, "k"), range(PARALLEL)))
    (bot,) = Bot.objects.all()
    assert set(answers) <= {(201, str(bot.pk)), (409, "in_progress")}
    assert answers[201, str(bot.pk)] >= 1
    assert create(client, "k") == (201, str(bot.pk))


@pytest.mark.django_db(transaction=True)
def test_an_effect_that_was_rolled_back_leaves_no_record(as_user: AsUser, owner: User) -> None:
    with transaction.atomic():
        as_user(owner).post("/api/v1/bots/", {"name": "Moon"}, headers={"idempotency-key": "k"})
        transaction.set_rollback(True)  # as when the process dies before it commits
    assert not IdempotencyRecord.objects.exists()
    assert create(as_user(owner), "k")[0] == 201
    assert Bot.objects.count() == 1


def test_without_a_key_every_request_has_its_effect(as_user: AsUser, owner: User) -> None:
    client = as_user(owner)
    for _ in range(2):
        client.post("/api/v1/bots/", {"name": "Moon"})
    assert Bot.objects.count() == 2


def test_one_key_for_two_routes_is_refused(as_user: AsUser, owner: User) -> None:
    client = as_user(owner)
    bot = client.post("/api/v1/bots/", {"name": "Moon"}, headers={"idempotency-key": "k"}).data["id"]
    response = client.post("/api/v1/conversations/", {"bot": bot}, headers={"idempotency-key": "k"})
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
