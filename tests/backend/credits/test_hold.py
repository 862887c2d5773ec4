from collections.abc import Callable

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries, Settings

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.errors import InvalidAmount, NotEnoughCredits, ReferenceUsedForAnotherHold
from backend.credits.models import Account, Entry, Price
from backend.users.models import User

Credit = Callable[[int], Entry]


def test_a_hold_moves_credits_from_available_to_reserved(
    owner: User, account: Account, credit: Credit, price: Price
) -> None:
    credit(100)
    entry = services.hold(user=owner, amount=30, reference=uuid7(), price=price)
    account.refresh_from_db()
    assert (account.available, account.reserved, account.spent, account.seq) == (70, 30, 0, 2)
    assert (entry.seq, entry.available_delta, entry.reserved_delta, entry.spent_delta) == (2, -30, 30, 0)
    assert (entry.available_after, entry.reserved_after) == (70, 30)


def test_a_hold_is_one_statement(
    owner: User, credit: Credit, price: Price, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    credit(100)
    with django_assert_num_queries(1):
        services.hold(user=owner, amount=30, reference=uuid7(), price=price)


def test_a_hold_beyond_what_is_available_is_refused_and_says_how_much_there_is(
    owner: User, account: Account, credit: Credit, price: Price
) -> None:
    credit(20)
    with pytest.raises(NotEnoughCredits) as refusal, transaction.atomic():
        services.hold(user=owner, amount=21, reference=uuid7(), price=price)
    assert refusal.value.status == 403
    assert refusal.value.code == "not_enough_credits"
    assert refusal.value.details == {"available": 20, "needed": 21}
    account.refresh_from_db()
    assert (account.available, account.reserved, account.entries.count()) == (20, 0, 1)


def test_everything_can_be_held(owner: User, account: Account, credit: Credit, price: Price) -> None:
    credit(20)
    services.hold(user=owner, amount=20, reference=uuid7(), price=price)
    account.refresh_from_db()
    assert (account.available, account.reserved) == (0, 20)


def test_the_same_hold_again_is_the_first_one_even_with_nothing_left(
    owner: User, account: Account, credit: Credit, price: Price
) -> None:
    credit(20)
    reference = uuid7()
    first = services.hold(user=owner, amount=20, reference=reference, price=price)
    assert services.hold(user=owner, amount=20, reference=reference, price=price).pk == first.pk
    account.refresh_from_db()
    assert (account.available, account.reserved, account.seq) == (0, 20, 2)


def test_a_reference_cannot_be_held_for_by_another_account_or_in_another_amount(
    owner: User, teammate: User, account: Account, credit: Credit, price: Price
) -> None:
    credit(20)
    reference = uuid7()
    services.hold(user=owner, amount=10, reference=reference, price=price)
    with pytest.raises(ReferenceUsedForAnotherHold):
        services.hold(user=owner, amount=5, reference=reference, price=price)
    theirs = services.account_for(teammate)
    services.topup(account=theirs, amount=10, actor=owner, reason="test", key="k")
    with pytest.raises(ReferenceUsedForAnotherHold):
        services.hold(user=teammate, amount=10, reference=reference, price=price)
    theirs.refresh_from_db()
    assert theirs.available == 10


@pytest.mark.parametrize("amount", [0, -1, services.MAX_AMOUNT + 1])
def test_a_hold_must_be_positive(owner: User, price: Price, amount: int) -> None:
    with pytest.raises(InvalidAmount):
        services.hold(user=owner, amount=amount, reference=uuid7(), price=price)


def test_the_first_hold_of_a_new_user_is_paid_from_the_signup_grant(
    owner: User, price: Price, settings: Settings
) -> None:
    settings.SIGNUP_GRANT = 50
    entry = services.hold(user=owner, amount=8, reference=uuid7(), price=price)
    assert (entry.seq, entry.available_after, entry.reserved_after) == (2, 42, 8)


def test_a_user_without_credits_and_without_account_is_refused(owner: User, price: Price) -> None:
    with pytest.raises(NotEnoughCredits) as refusal:
        services.hold(user=owner, amount=1, reference=uuid7(), price=price)
    assert refusal.value.details == {"available": 0, "needed": 1}
