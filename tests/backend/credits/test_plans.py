"""Plans are made and given in the admin; one of them is everybody's."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from backend.credits import plans
from backend.credits.models import Account, Plan
from backend.users.models import User

pytestmark = pytest.mark.django_db
Staff = Callable[..., Client]
NAMES = ["view_plan", "add_plan", "change_plan", "delete_plan", "view_account", "change_account"]


@pytest.fixture
def staff(stranger: User) -> Staff:
    def client(*permissions: str) -> Client:
        stranger.is_staff = True
        stranger.save()
        stranger.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        browser = Client()
        browser.force_login(stranger)
        return browser

    return client


@pytest.fixture
def large(db: None) -> Plan:
    return Plan.objects.create(name="Large", files=10)


def page(plan: Plan, name: str) -> str:
    return reverse(f"admin:credits_plan_{name}", args=[plan.pk])


def test_a_plan_is_made_and_edited(staff: Staff) -> None:
    browser = staff(*NAMES)
    made = {"name": "Team", "bots": "5", "files": "", "bytes": "1000", "pages": ""}
    assert browser.post(reverse("admin:credits_plan_add"), made).status_code == 302
    plan = Plan.objects.get(name="Team")
    assert (plan.bots, plan.files, plan.bytes, plan.pages, plan.is_default) == (5, None, 1000, None, False)
    browser.post(page(plan, "change"), made | {"bots": "7"})
    plan.refresh_from_db()
    assert plan.bots == 7


def test_a_plan_is_given_and_taken_back(staff: Staff, account: Account, large: Plan, owner: User) -> None:
    browser = staff(*NAMES)
    url = reverse("admin:credits_account_assign_plan", args=[account.pk])
    assert "Large" in browser.get(url).text
    browser.post(url, {"plan": str(large.pk)})
    assert plans.plan_of(owner.pk) == large
    browser.post(url, {"plan": ""})
    assert plans.plan_of(owner.pk).is_default


def test_another_plan_becomes_the_default(staff: Staff, large: Plan, owner: User) -> None:
    browser = staff(*NAMES)
    url = page(large, "make_default")
    assert "Make it the default" in browser.get(url).text
    assert plans.plan_of(owner.pk) != large
    browser.post(url)
    assert plans.plan_of(owner.pk) == large
    assert Plan.objects.filter(is_default=True).count() == 1


def test_the_default_and_a_plan_in_use_stay(staff: Staff, large: Plan, account: Account) -> None:
    browser = staff(*NAMES)
    plans.assign(account=account, plan=large)
    default = Plan.objects.get(is_default=True)
    assert browser.post(page(default, "delete"), {"post": "yes"}).status_code == 403
    browser.post(page(large, "delete"), {"post": "yes"})
    assert Plan.objects.filter(pk=large.pk).exists()
    plans.assign(account=account, plan=None)
    browser.post(page(large, "delete"), {"post": "yes"})
    assert not Plan.objects.filter(pk=large.pk).exists()


@pytest.mark.parametrize("what", ["assign", "default"])
def test_only_who_may(staff: Staff, account: Account, large: Plan, what: str) -> None:
    browser = staff("view_plan", "view_account")
    url = reverse("admin:credits_account_assign_plan", args=[account.pk]) if what == "assign" else None
    assert browser.post(url or page(large, "make_default"), {"plan": str(large.pk)}).status_code in (302, 403)
    account.refresh_from_db()
    large.refresh_from_db()
    assert (account.plan, large.is_default) == (None, False)


def test_an_account_loses_its_plan_with_nothing_of_its_ledger(account: Account, large: Plan) -> None:
    plans.assign(account=account, plan=large)
    account.refresh_from_db()
    assert (account.plan, account.available, account.seq) == (large, 0, 0)
