"""The forms of the browsable API and of the admin: the same rules as the API's login."""

import pytest
from django.contrib.auth import authenticate
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from backend.users.models import User
from tests.conftest import PASSWORD

FORMS = ["/api/browse/login/", "/admin/login/"]


def signs_in(form: str, email: str, password: str, **headers: str) -> bool:
    answer = Client().post(form, {"username": email, "password": password}, headers=headers)
    assert answer.status_code in {200, 302}
    return answer.status_code == 302


@pytest.fixture
def staff(owner: User) -> User:
    owner.is_staff = True
    owner.save()
    return owner


@pytest.mark.parametrize("form", FORMS)
def test_lets_in_with_the_right_password(form: str, staff: User) -> None:
    assert not signs_in(form, staff.email, "wrong")
    assert signs_in(form, "OWNER@example.com ", PASSWORD)


@pytest.mark.parametrize("form", FORMS)
def test_sixth_try_fails_even_with_the_right_password(form: str, staff: User, one_window: None) -> None:
    for number in range(5):
        email = [staff.email, "OWNER@example.com", " owner@Example.com"][number % 3]
        assert not signs_in(form, email, "wrong", x_forwarded_for=f"203.0.113.{number}")
    assert not signs_in(form, staff.email, PASSWORD)


@pytest.mark.parametrize("form", FORMS)
def test_suspended_is_refused(form: str, staff: User) -> None:
    User.objects.update(is_active=False)
    assert not signs_in(form, staff.email, PASSWORD)


def test_unverified_is_refused_where_verification_is_required(staff: User, settings: Settings) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    assert not signs_in(FORMS[0], staff.email, PASSWORD)
    User.objects.update(email_verified_at=timezone.now())
    assert signs_in(FORMS[0], staff.email, PASSWORD)


def test_admin_is_for_staff_only(owner: User, staff: User, stranger: User) -> None:
    assert not signs_in("/admin/login/", stranger.email, PASSWORD)


def test_nothing_is_guessed_without_a_request(owner: User) -> None:
    assert authenticate(None, username=owner.email, password=PASSWORD) is None
