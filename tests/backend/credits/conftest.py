from collections.abc import Callable
from uuid import UUID

import pytest
from pytest_django import Settings

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.models import Account, Entry, Price
from backend.users.models import User


@pytest.fixture(autouse=True)
def _no_signup_grant(settings: Settings) -> None:
    """So that every number in a test is one that the test wrote."""
    settings.SIGNUP_GRANT = 0


@pytest.fixture
def account(owner: User) -> Account:
    return services.account_for(owner)


@pytest.fixture
def price(db: None) -> Price:
    return services.price_for("local:extractive")


@pytest.fixture
def credit(account: Account, stranger: User) -> Callable[[int], Entry]:
    def topup(amount: int) -> Entry:
        return services.topup(account=account, amount=amount, actor=stranger, reason="test", key=str(uuid7()))

    return topup


@pytest.fixture
def held(owner: User, credit: Callable[[int], Entry], price: Price) -> UUID:
    """The reference of a hold of 30 by the owner, who has 70 left."""
    credit(100)
    reference = uuid7()
    services.hold(user=owner, amount=30, reference=reference, price=price)
    return reference
