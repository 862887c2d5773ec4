"""Whoever has little left is told once, in the transaction that took it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from backend.core.ids import uuid7
from backend.core.prepared import Along
from backend.credits import services
from backend.credits.models import Account, Entry, Price
from backend.users.models import User
from backend.webhooks.models import Delivery, Endpoint

Credit = Callable[[int], Entry]


@pytest.fixture(autouse=True)
def _threshold(settings: Settings) -> None:
    settings.LOW_BALANCE = 20


@pytest.fixture
def listening(owner: User) -> Endpoint:
    endpoint: Endpoint = Endpoint.objects.create(owner=owner, url="https://x.example/", events=["balance.low"])
    return endpoint


def spend(owner: User, price: Price, charge: int, *, hold: int = 15) -> None:
    reference = uuid7()
    services.hold(user=owner, amount=hold, reference=reference, price=price)
    services.settle(reference=reference, charge=charge)


def told() -> list[Any]:
    return list(Delivery.objects.order_by("pk").values_list("data", flat=True))


def test_falling_below_it_is_told_once(owner: User, credit: Credit, price: Price, listening: Endpoint) -> None:
    credit(30)
    for charge in (10, 1, 5):
        spend(owner, price, charge)
    assert told() == [{"available": 19, "reserved": 0, "threshold": 20}]


def test_a_hold_that_comes_back_is_not_told(owner: User, credit: Credit, price: Price, listening: Endpoint) -> None:
    credit(25)
    for _ in range(3):
        spend(owner, price, 0, hold=25)
    assert told() == []


def test_quietly_nothing_is_settled_that_is_to_be_told(
    owner: User, credit: Credit, price: Price, listening: Endpoint
) -> None:
    credit(30)
    reference = uuid7()
    services.hold(user=owner, amount=15, reference=reference, price=price)
    assert services.settle_with(Along(), reference=reference, charge=11, quietly=True) is None
    assert not Entry.objects.filter(kind="settle").exists()
    settled = services.settle_with(Along(), reference=reference, charge=10, quietly=True)
    assert (settled and settled.available_after, told()) == (20, [])


def test_what_another_answer_holds_is_still_there(
    owner: User, credit: Credit, price: Price, listening: Endpoint
) -> None:
    credit(36)
    services.hold(user=owner, amount=15, reference=uuid7(), price=price)
    spend(owner, price, 2)
    assert told() == []


def test_after_a_top_up_it_is_told_again(owner: User, credit: Credit, price: Price, listening: Endpoint) -> None:
    for _ in range(2):
        credit(21)
        spend(owner, price, 15)
        spend(owner, price, 6, hold=6)
    assert [one["available"] for one in told()] == [6, 6]


def test_a_correction_downwards_is_told(account: Account, stranger: User, credit: Credit, listening: Endpoint) -> None:
    credit(30)
    services.adjust(account=account, amount=-15, actor=stranger, reason="mistake", key="k")
    services.adjust(account=account, amount=-15, actor=stranger, reason="mistake", key="k")
    assert [one["available"] for one in told()] == [15]


def test_an_account_has_its_own_number(
    account: Account, owner: User, credit: Credit, price: Price, listening: Endpoint
) -> None:
    credit(100)
    services.set_low_balance(account=account, below=95)
    spend(owner, price, 10)
    services.set_low_balance(account=account, below=0)
    spend(owner, price, 15)
    assert told() == [{"available": 90, "reserved": 0, "threshold": 95}]


def test_what_is_rolled_back_is_not_told(owner: User, credit: Credit, price: Price, listening: Endpoint) -> None:
    credit(25)
    with transaction.atomic():
        spend(owner, price, 10)
        transaction.set_rollback(True)
    assert told() == []
    spend(owner, price, 10)
    assert len(told()) == 1


def test_where_nobody_listens_the_crossing_costs_two_statements_more(
    owner: User, credit: Credit, price: Price, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    credit(25)
    reference = uuid7()
    services.hold(user=owner, amount=15, reference=reference, price=price)
    with django_assert_num_queries(3):
        services.settle(reference=reference, charge=10)


def test_the_number_is_set_and_unset_over_the_api(owner: User, as_user: Callable[[User], APIClient]) -> None:
    client, path = as_user(owner), "/api/v1/credits/low-balance/"
    assert client.put(path, {"below": 500}).json() == {"below": 500, "own": True}
    assert client.get(path).json() == {"below": 500, "own": True}
    assert client.put(path, {"below": None}).json() == {"below": 20, "own": False}
    assert client.put(path, {"below": -1}).status_code == 400
