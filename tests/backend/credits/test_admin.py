"""Topping up is done here: find the user, see balance and ledger, write an entry."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from backend.core.ids import uuid7
from backend.credits import services
from backend.credits.audit import find_differences
from backend.credits.models import Account, Entry, Price
from backend.users.models import User

Credit = Callable[[int], Entry]
Staff = Callable[..., Client]
LIST = reverse("admin:credits_account_changelist")
ENTRIES = reverse("admin:credits_entry_changelist")
ADD_PRICE = reverse("admin:credits_price_add")


@pytest.fixture
def staff(stranger: User) -> Staff:
    """The stranger as a member of staff with these permissions."""

    def client(*permissions: str) -> Client:
        stranger.is_staff = True
        stranger.save()
        stranger.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        browser = Client()
        browser.force_login(stranger)
        return browser

    return client


@pytest.fixture
def cashier(staff: Staff) -> Client:
    return staff("view_account", "view_entry", "add_entry")


def credit_page(account: Account) -> str:
    return reverse("admin:credits_account_credit", args=[account.pk])


def page_of(account: Account) -> str:
    return reverse("admin:credits_account_change", args=[account.pk])


def filled(browser: Client, account: Account, **values: object) -> dict[str, object]:
    """The form as the browser sends it, with the key that came with the page."""
    key = re.search(r'name="key" value="([0-9a-f-]{36})"', browser.get(credit_page(account)).text)
    assert key
    return {"kind": "topup", "amount": 100, "reason": "invoice 7", "key": key[1]} | values


def test_the_account_of_a_user_is_found_by_a_part_of_the_address(cashier: Client, owner: User, teammate: User) -> None:
    page = cashier.get(LIST, {"q": "owner@ex"}).text
    assert "owner@example.com" in page
    assert "teammate@example.com" not in page
    assert Account.objects.get().user == owner


def test_two_letters_open_no_accounts(cashier: Client, owner: User) -> None:
    cashier.get(LIST, {"q": "ow"})
    assert not Account.objects.exists()


def test_a_user_leads_to_their_account(cashier: Client, staff: Staff, owner: User) -> None:
    path = reverse("admin:credits_account_of_user", args=[owner.pk])
    assert cashier.get(path).url == page_of(Account.objects.get())  # type: ignore[attr-defined]
    assert cashier.get(reverse("admin:credits_account_of_user", args=[uuid7()])).status_code == 404
    assert staff().get(path).status_code == 403


def test_the_account_page_shows_balance_and_ledger(cashier: Client, account: Account, credit: Credit) -> None:
    credit(1234)
    page = cashier.get(page_of(account)).text
    assert page.count("1234") >= 3  # the balance, the entry's amount, what it left
    assert "stranger@example.com" in page
    assert f"{ENTRIES}?account__id__exact={account.pk}" in page
    assert credit_page(account) in page
    assert 'name="_save"' not in page


def test_the_form_shows_the_balance_and_its_button(cashier: Client, account: Account, credit: Credit) -> None:
    credit(1234)
    page = cashier.get(credit_page(account)).text
    assert "Available 1234, reserved 0, spent 0" in page
    assert "Write the entry" in page


def test_a_topup_credits_the_account_and_says_who_and_why(cashier: Client, account: Account, stranger: User) -> None:
    form = filled(cashier, account)
    response = cashier.post(credit_page(account), form, headers={"X-Request-ID": "request-0001"}, follow=True)
    assert "Top-up of 100 is entry 1; it left 100 available." in response.text
    entry = account.entries.get()
    assert (entry.kind, entry.amount, entry.actor, entry.reason) == ("topup", 100, stranger, "invoice 7")
    assert (entry.key, entry.request_id) == (f"admin:{form['key']}", "request-0001")


def test_a_form_sent_twice_is_one_entry(cashier: Client, account: Account) -> None:
    form = filled(cashier, account)
    assert [cashier.post(credit_page(account), form).status_code for _ in range(2)] == [302, 302]
    account.refresh_from_db()
    assert (account.available, account.seq) == (100, 1)


def test_two_forms_are_two_entries(cashier: Client, account: Account) -> None:
    for _ in range(2):
        cashier.post(credit_page(account), filled(cashier, account))
    account.refresh_from_db()
    assert account.available == 200


def test_an_adjustment_may_be_negative_but_not_below_zero(cashier: Client, account: Account) -> None:
    cashier.post(credit_page(account), filled(cashier, account))
    refused = cashier.post(credit_page(account), filled(cashier, account, kind="adjust", amount=-101))
    assert "There are not enough credits for this. Available: 100." in refused.text
    cashier.post(credit_page(account), filled(cashier, account, kind="adjust", amount=-100))
    account.refresh_from_db()
    assert (account.available, account.seq) == (0, 2)


@pytest.mark.parametrize(
    "values",
    [
        {"amount": 1001},
        {"amount": 0},
        {"amount": -5},
        {"amount": "many"},
        {"amount": 2**80},
        {"kind": "grant"},
        {"kind": "hold"},
        {"reason": " "},
        {"reason": "x" * 501},
        {"reason": "a\0b"},
        {"key": "not-one"},
        {"key": ""},
    ],
)
def test_a_wrong_form_comes_back_and_writes_nothing(
    cashier: Client, account: Account, settings: Settings, values: dict[str, object]
) -> None:
    settings.TOPUP_LIMIT = 1000
    response = cashier.post(credit_page(account), filled(cashier, account, **values))
    assert response.status_code == 200
    assert "errorlist" in response.text or "errornote" in response.text or "Please correct" in response.text
    assert not Entry.objects.exists()


def test_a_key_sent_again_with_another_amount_is_refused(cashier: Client, account: Account) -> None:
    form = filled(cashier, account)
    cashier.post(credit_page(account), form)
    assert "This key was used before" in cashier.post(credit_page(account), form | {"amount": 5}).text


@pytest.mark.parametrize("permissions", [(), ("view_account", "view_entry"), ("change_account", "add_account")])
def test_without_permission_nobody_credits(staff: Staff, account: Account, permissions: tuple[str, ...]) -> None:
    browser = staff(*permissions)
    form = {"kind": "topup", "amount": 100, "reason": "mine", "key": str(uuid7())}
    assert browser.post(credit_page(account), form).status_code == 403
    assert not Entry.objects.exists()


def test_a_user_who_is_not_staff_is_sent_to_the_login(client: Client, owner: User, account: Account) -> None:
    client.force_login(owner)
    assert client.get(credit_page(account)).status_code == 302
    assert not Entry.objects.exists()


def test_an_unknown_account_is_not_found(cashier: Client) -> None:
    assert cashier.get(reverse("admin:credits_account_credit", args=[uuid7()])).status_code == 404
    assert cashier.get(reverse("admin:credits_account_change", args=[uuid7()])).status_code == 302


@pytest.mark.parametrize("model", ["account", "entry"])
def test_not_even_a_superuser_changes_or_deletes_ledger_rows(admin_client: Client, held: object, model: str) -> None:
    row = {"account": Account, "entry": Entry}[model].objects.first()  # type: ignore[attr-defined]
    before = list(Entry.objects.order_by("seq").values())
    change, delete = (reverse(f"admin:credits_{model}_{verb}", args=[row.pk]) for verb in ("change", "delete"))
    assert admin_client.get(change).status_code == 200
    assert admin_client.post(change, {"amount": 9}).status_code == 403
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert admin_client.post(reverse(f"admin:credits_{model}_add"), {"amount": 9}).status_code == 403
    listing = reverse(f"admin:credits_{model}_changelist")
    admin_client.post(listing, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert list(Entry.objects.order_by("seq").values()) == before
    assert "delete_selected" not in admin_client.get(listing).text


def test_entries_are_found_by_address_reason_key_and_answer(cashier: Client, held: object) -> None:
    hold = Entry.objects.get(kind="hold")
    for term, found in [("owner@example", 2), ("test", 1), (str(hold.reference), 1), ("nothing", 0)]:
        assert cashier.get(ENTRIES, {"q": term}).context["cl"].result_count == found
    assert cashier.get(ENTRIES, {"kind__exact": "hold"}).context["cl"].result_count == 1
    assert cashier.get(ENTRIES, {"account__id__exact": str(hold.account_id)}).context["cl"].result_count == 2


def test_the_ledger_of_a_deleted_user_and_actor_is_still_shown(
    cashier: Client, account: Account, owner: User, teammate: User
) -> None:
    services.topup(account=account, amount=5, actor=teammate, reason="test", key="k")
    owner.delete()
    teammate.delete()
    entry_page = reverse("admin:credits_entry_change", args=[account.entries.get().pk])
    for page in (page_of(account), LIST, ENTRIES, entry_page):
        assert "deleted user" in cashier.get(page).text
    assert find_differences() == []


def price_form(**values: object) -> dict[str, object]:
    return {"model": "new:model", "per_answer": 1, "input_per_1k": 2, "output_per_1k": 3, "valid_from": ""} | values


def test_a_price_is_added_and_ended(staff: Staff) -> None:
    browser = staff("view_price", "add_price", "change_price")
    browser.post(ADD_PRICE, price_form())
    price = Price.objects.get(model="new:model")
    assert (price.per_answer, price.input_per_1k, price.output_per_1k, price.valid_to) == (1, 2, 3, None)
    end = reverse("admin:credits_price_end", args=[price.pk])
    assert "End this price now" in browser.get(end).text
    price.refresh_from_db()
    assert price.valid_to is None
    browser.post(end)
    price.refresh_from_db()
    assert price.valid_to is not None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"per_answer": 0, "input_per_1k": 0, "output_per_1k": 0}, "At least one of the three"),
        ({"per_answer": -1}, "greater than or equal to 0"),
        ({"per_answer": 10**9}, "less than or equal to"),
        ({"input_per_1k": ""}, "required"),
        ({"valid_from": "2001-01-01"}, "cannot begin in the past"),
    ],
)
def test_a_wrong_price_comes_back(staff: Staff, values: dict[str, object], says: str) -> None:
    assert says in staff("add_price").post(ADD_PRICE, price_form(**values)).text
    assert not Price.objects.filter(model="new:model").exists()


def test_a_price_before_an_announced_one_comes_back(staff: Staff) -> None:
    browser = staff("add_price", "view_price")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert browser.post(ADD_PRICE, price_form(valid_from=f"{tomorrow:%Y-%m-%d %H:%M}")).status_code == 302
    assert "overlaps another one" in browser.post(ADD_PRICE, price_form()).text


def test_prices_need_their_own_permissions(staff: Staff, price: Price) -> None:
    browser = staff("view_price")
    assert browser.post(ADD_PRICE, price_form()).status_code == 403
    assert browser.post(reverse("admin:credits_price_end", args=[price.pk])).status_code == 403
    change = reverse("admin:credits_price_change", args=[price.pk])
    assert browser.get(change).status_code == 200
    assert browser.post(change, price_form()).status_code == 403
