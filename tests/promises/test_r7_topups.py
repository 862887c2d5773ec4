"""R7: top-ups are accountable: who, why, under which key, in which request; once per form; and the page adds up."""

import random
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.urls import reverse

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.audit import find_differences
from backend.credits.models import Account, Entry, Kind
from backend.users.models import User

PAGE_ROWS = re.compile(r"<tr class=\"data-row.*?</tr>", re.DOTALL)
CELL = re.compile(r"<td[^>]*>\s*(.*?)\s*</td>", re.DOTALL)


@pytest.fixture
def cashier(transactional_db: None) -> Client:
    user = User.objects.create(email="cashier@example.com", is_staff=True)
    wanted = ["view_account", "view_entry", "add_entry"]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted, content_type__app_label="credits"))
    client = Client()
    client.force_login(user)
    return client


def form_for(browser: Client, page: str, **values: object) -> dict[str, object]:
    key = re.search(r'name="key" value="([0-9a-f-]{36})"', browser.get(page).text)
    assert key
    return {"kind": "topup", "amount": 10, "reason": "invoice", "key": key[1]} | values


@pytest.fixture
def account(transactional_db: None) -> Iterator[Account]:
    yield services.account_for(User.objects.create(email="owner@example.com"))
    assert find_differences() == []


def test_one_form_sent_sixteen_times_at_once_is_one_entry(cashier: Client, account: Account) -> None:
    page = reverse("admin:credits_account_credit", args=[account.pk])
    form = form_for(cashier, page)
    barrier = threading.Barrier(16)

    def send(_: int) -> int:
        browser = Client()
        browser.cookies = cashier.cookies
        barrier.wait()
        try:
            return browser.post(page, form).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, range(16))) == {302}
    assert account.entries.filter(kind=Kind.TOPUP).count() == 1
    print("\nR7: 16 equal forms at once, 1 entry")


def test_every_entry_by_hand_says_who_why_and_in_which_request(cashier: Client, account: Account) -> None:
    page = reverse("admin:credits_account_credit", args=[account.pk])
    for number, kind in enumerate(["topup", "adjust"]):
        cashier.post(page, form_for(cashier, page, kind=kind), headers={"X-Request-ID": f"request-{number}"})
    by_hand = account.entries.filter(kind__in=[Kind.TOPUP, Kind.ADJUST]).order_by("seq")
    assert [entry.request_id for entry in by_hand] == ["request-0", "request-1"]
    assert {(entry.actor and entry.actor.email, entry.reason) for entry in by_hand} == {
        ("cashier@example.com", "invoice")
    }
    assert all(entry.key for entry in by_hand)


def moved(seed: int, accounts: int) -> None:
    rng = random.Random(seed)
    price = services.price_for("*")
    for number in range(accounts):
        user = User.objects.create(email=f"user{number}@example.com")
        account = services.account_for(user)
        for _ in range(rng.randint(1, 5)):
            services.topup(account=account, amount=rng.randint(1, 10**6), actor=user, reason="test", key=str(uuid7()))
            reference = uuid7()
            held = services.hold(user=user, amount=rng.randint(1, 40), reference=reference, price=price)
            if rng.random() < 0.8:
                services.settle(reference=reference, charge=rng.randint(0, held.amount))


def balances_on_page(browser: Client, account: Account) -> tuple[int, int, int]:
    """What the newest row of the page's ledger left available and reserved, and the sum of the settlements in it."""
    html = browser.get(reverse("admin:credits_account_change", args=[account.pk])).text
    rows = [CELL.findall(row) for row in PAGE_ROWS.findall(html)]
    spent = sum(int(row[3]) for row in rows if row[2] == "Settlement")
    return int(rows[0][4]), int(rows[0][5]), spent


def pages_equal_sums(browser: Client, *, accounts: int) -> None:
    seed = random.randrange(10**6)
    moved(seed, accounts)
    sums: Any = Account.objects.annotate(
        a=Sum("entries__available_delta"), r=Sum("entries__reserved_delta"), s=Sum("entries__spent_delta")
    )
    different = [each.pk for each in sums if balances_on_page(browser, each) != (each.a, each.r, each.s)]
    assert different == []
    print(f"\nR7 seed {seed}: {len(sums)} pages, {Entry.objects.count()} entries, 0 differences")


def test_the_ledger_on_the_page_sums_to_what_sql_sums(cashier: Client) -> None:
    pages_equal_sums(cashier, accounts=20)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_ledgers_of_a_thousand_accounts_sum_to_what_sql_sums(cashier: Client) -> None:
    pages_equal_sums(cashier, accounts=1000)
