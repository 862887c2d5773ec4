"""What one test leaves behind is no other test's business."""

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from backend.core.jobs import enqueue
from backend.credits import services as ledger
from backend.credits.models import Entry, Plan, Price
from backend.credits.pricing import Rates
from backend.users.models import User
from tests.emptying import empty


@pytest.mark.django_db(transaction=True)
def test_afterwards_the_tables_are_as_the_migrations_left_them(owner: User) -> None:
    prices, plans = set(Price.objects.values_list()), set(Plan.objects.values_list())
    ledger.grant(account=ledger.account_for(owner), amount=1, key="of a test", reason="test")
    ledger.set_price(model="of a test", rates=Rates(1, 1, 1))
    Plan.objects.all().delete()
    enqueue("documents.sweep")
    empty()
    assert not [model.__name__ for model in (User, Entry, ProcrastinateJob) if model.objects.exists()]
    assert (set(Price.objects.values_list()), set(Plan.objects.values_list())) == (prices, plans)
    assert prices
