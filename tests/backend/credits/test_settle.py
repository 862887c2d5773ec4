from collections.abc import Callable
from uuid import UUID

import pytest
from pytest_django import DjangoAssertNumQueries

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.audit import find_differences
from backend.credits.errors import HoldNotFound
from backend.credits.models import Account, Entry, Kind, Price
from backend.credits.pricing import Rates
from backend.users.models import User

Balance = tuple[int, int, int]


def balance(account: Account) -> Balance:
    account.refresh_from_db()
    return account.available, account.reserved, account.spent


@pytest.mark.parametrize(
    ("charge", "expected"),
    [
        (0, (100, 0, 0)),
        (12, (88, 0, 12)),
        (30, (70, 0, 30)),
        (31, (70, 0, 30)),
        (10**30, (70, 0, 30)),
        (-5, (100, 0, 0)),
    ],
)
def test_settling_charges_at_most_the_hold_and_releases_the_rest(
    account: Account, held: UUID, charge: int, expected: Balance
) -> None:
    services.settle(reference=held, charge=charge)
    assert balance(account) == expected


def test_a_settlement_is_one_statement(held: UUID, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        services.settle(reference=held, charge=12)


def test_settling_again_returns_the_first_settlement_and_moves_nothing(
    account: Account, held: UUID, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = services.settle(reference=held, charge=12)
    with django_assert_num_queries(2):
        again = services.settle(reference=held, charge=30)
    assert (again.pk, again.amount) == (first.pk, 12)
    assert balance(account) == (88, 0, 12)


def test_a_settlement_names_hold_price_reference_and_usage(held: UUID, price: Price) -> None:
    entry = services.settle(reference=held, charge=3, input_tokens=-7, output_tokens=200)
    hold = Entry.objects.get(kind=Kind.HOLD)
    assert (entry.hold_id, entry.reference, entry.price_id) == (hold.pk, held, price.pk)
    assert (entry.input_tokens, entry.output_tokens) == (0, 200)


def test_a_settlement_names_the_price_of_the_model_that_answered(held: UUID) -> None:
    other = services.set_price(model="google:gemini-2.5-pro", rates=Rates(7, 0, 0))
    entry = services.settle(reference=held, charge=7, price_id=other.pk)
    assert (entry.price_id, find_differences()) == (other.pk, [])


def test_a_free_answer_is_written_too(account: Account, held: UUID) -> None:
    services.settle(reference=held, charge=0)
    assert [entry.kind for entry in account.entries.order_by("seq")] == ["topup", "hold", "settle"]


def test_what_was_never_held_for_cannot_be_settled(db: None) -> None:
    with pytest.raises(HoldNotFound):
        services.settle(reference=uuid7(), charge=1)


def test_holds_of_one_account_settle_independently(
    owner: User, account: Account, held: UUID, price: Price, credit: Callable[[int], Entry]
) -> None:
    other = uuid7()
    services.hold(user=owner, amount=70, reference=other, price=price)
    services.settle(reference=held, charge=30)
    assert balance(account) == (0, 70, 30)
    services.settle(reference=other, charge=1)
    assert balance(account) == (69, 0, 31)
