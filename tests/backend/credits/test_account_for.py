import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.models import Account, Entry, Price
from backend.users.models import User


@pytest.fixture
def grant(settings: Settings) -> int:
    settings.SIGNUP_GRANT = 50
    return 50


def test_the_first_look_opens_the_account_with_the_signup_grant(owner: User, grant: int) -> None:
    account = services.account_for(owner)
    assert (account.available, account.entries.get().kind) == (grant, "grant")


def test_the_next_look_is_one_statement(
    owner: User, grant: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    services.account_for(owner)
    with django_assert_num_queries(1):
        assert services.account_for(owner).available == grant


def test_without_a_grant_the_account_starts_empty(owner: User) -> None:
    assert services.account_for(owner).seq == 0


def test_the_grant_waits_for_the_address_to_be_verified(
    owner: User, grant: int, price: Price, settings: Settings
) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    assert services.account_for(owner).available == 0
    owner.email_verified_at = datetime.now(UTC)
    owner.save(update_fields=["email_verified_at"])
    assert services.hold(user=owner, amount=5, reference=uuid7(), price=price).available_after == grant - 5
    assert services.account_for(owner).available == grant - 5


def test_a_topup_before_the_grant_does_not_take_its_place(owner: User, grant: int, settings: Settings) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    account = services.account_for(owner)
    services.topup(account=account, amount=7, actor=owner, reason="test", key="first")
    owner.email_verified_at = datetime.now(UTC)
    assert services.account_for(owner).available == grant + 7


def in_parallel(times: int, call: Callable[[], object]) -> None:
    barrier = threading.Barrier(times)

    def one() -> None:
        barrier.wait()
        try:
            call()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        for future in [pool.submit(one) for _ in range(times)]:
            future.result()


@pytest.mark.django_db(transaction=True)
def test_sixteen_first_looks_at_once_are_one_account_and_one_grant(settings: Settings) -> None:
    settings.SIGNUP_GRANT = 50
    user = User.objects.create(email="owner@example.com")
    in_parallel(16, lambda: services.account_for(user))
    assert Account.objects.get().available == 50
    assert Entry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_sixteen_equal_topups_at_once_are_one() -> None:
    user = User.objects.create(email="owner@example.com")
    account = services.account_for(user)
    in_parallel(16, lambda: services.topup(account=account, amount=9, actor=user, reason="test", key="same"))
    account.refresh_from_db()
    assert (account.available, account.seq) == (9, 1)


@pytest.mark.django_db(transaction=True)
def test_sixteen_settlements_at_once_are_one(settings: Settings) -> None:
    settings.SIGNUP_GRANT = 50
    user = User.objects.create(email="owner@example.com")
    reference = uuid7()
    services.hold(user=user, amount=20, reference=reference, price=services.price_for("local:extractive"))
    in_parallel(16, lambda: services.settle(reference=reference, charge=5))
    account = services.account_for(user)
    assert (account.available, account.reserved, account.spent, account.seq) == (45, 0, 5, 3)


def test_searching_an_address_opens_the_accounts_it_finds(owner: User, stranger: User) -> None:
    services.open_accounts_like(email="OWNER@", limit=20)
    assert [account.user for account in Account.objects.all()] == [owner]
