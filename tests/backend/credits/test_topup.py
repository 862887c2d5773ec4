import pytest
from django.db import IntegrityError
from pytest_django import Settings

from backend.core import request_id
from backend.credits import services
from backend.credits.errors import InvalidAmount, KeyUsedForAnotherEntry, NotEnoughCredits
from backend.credits.models import Account, Entry
from backend.users.models import User


def topup(account: Account, actor: User, amount: int, key: str = "k") -> Entry:
    return services.topup(account=account, amount=amount, actor=actor, reason="invoice 7", key=key)


def adjust(account: Account, actor: User, amount: int, key: str = "a") -> Entry:
    return services.adjust(account=account, amount=amount, actor=actor, reason="typing error", key=key)


def test_a_topup_says_who_why_and_under_which_key(account: Account, stranger: User) -> None:
    request_id.current.set("request-1")
    entry = topup(account, stranger, 100)
    assert (entry.actor, entry.reason, entry.key, entry.request_id) == (stranger, "invoice 7", "k", "request-1")
    account.refresh_from_db()
    assert account.available == 100


def test_the_same_key_again_is_the_same_entry(account: Account, stranger: User) -> None:
    assert topup(account, stranger, 100).pk == topup(account, stranger, 100).pk
    account.refresh_from_db()
    assert (account.available, account.seq) == (100, 1)


def test_the_same_key_for_something_else_is_refused(account: Account, stranger: User) -> None:
    topup(account, stranger, 100)
    with pytest.raises(KeyUsedForAnotherEntry):
        topup(account, stranger, 101)
    with pytest.raises(KeyUsedForAnotherEntry):
        adjust(account, stranger, 100, key="k")


def test_a_key_belongs_to_one_account(account: Account, teammate: User, stranger: User) -> None:
    theirs = services.account_for(teammate)
    assert topup(account, stranger, 5).pk != topup(theirs, stranger, 5).pk


@pytest.mark.parametrize("amount", [0, -1, 1001, 2**70])
def test_a_topup_has_bounds(account: Account, stranger: User, settings: Settings, amount: int) -> None:
    settings.TOPUP_LIMIT = 1000
    with pytest.raises(InvalidAmount):
        topup(account, stranger, amount)
    assert topup(account, stranger, 1000).amount == 1000


@pytest.mark.parametrize("amount", [0, -1001, 1001])
def test_an_adjustment_has_bounds(account: Account, stranger: User, settings: Settings, amount: int) -> None:
    settings.TOPUP_LIMIT = 1000
    with pytest.raises(InvalidAmount):
        adjust(account, stranger, amount)


def test_an_adjustment_takes_no_more_than_there_is(account: Account, stranger: User) -> None:
    topup(account, stranger, 10)
    with pytest.raises(NotEnoughCredits) as refusal:
        adjust(account, stranger, -11)
    assert refusal.value.details == {"available": 10, "needed": 11}
    assert adjust(account, stranger, -10).available_after == 0


def test_an_adjustment_that_emptied_the_account_can_be_repeated(account: Account, stranger: User) -> None:
    topup(account, stranger, 10)
    assert adjust(account, stranger, -10).pk == adjust(account, stranger, -10).pk


def test_what_the_database_refuses_for_another_reason_is_not_called_a_lack_of_credits(
    account: Account, stranger: User
) -> None:
    with pytest.raises(IntegrityError, match="credits_entry_accountable"):
        services.topup(account=account, amount=5, actor=stranger, reason=" ", key="k")
