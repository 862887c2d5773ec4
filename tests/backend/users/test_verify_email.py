from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.users import links, services
from backend.users.models import User

URL = "/api/v1/auth/verify-email/"
RESEND = "/api/v1/auth/resend-verification/"


def test_link_verifies_once(api: APIClient, owner: User, link_token: Callable[[], str]) -> None:
    api.post(RESEND, {"email": "Owner@example.com"})
    token = link_token()
    assert api.post(URL, {"token": token}).status_code == 204
    owner.refresh_from_db()
    assert owner.email_verified_at is not None
    again = api.post(URL, {"token": token})
    assert (again.status_code, again.json()["code"]) == (400, "invalid_link")


def test_link_expires(api: APIClient, owner: User, settings: Settings) -> None:
    token = links.make(owner, links.VERIFY_EMAIL)
    settings.EMAIL_LINK_LIFETIME = timedelta(seconds=-1)
    assert api.post(URL, {"token": token}).json()["code"] == "invalid_link"


def test_link_for_another_purpose_is_refused(api: APIClient, owner: User) -> None:
    token = links.make(owner, links.RESET_PASSWORD)
    assert api.post(URL, {"token": token}).json()["code"] == "invalid_link"


def test_link_of_another_user_is_refused(api: APIClient, owner: User, stranger: User) -> None:
    _, _, signature = links.make(stranger, links.VERIFY_EMAIL).partition(":")
    assert api.post(URL, {"token": f"{owner.pk.hex}:{signature}"}).json()["code"] == "invalid_link"


@pytest.mark.parametrize("token", [None, "", "null", "undefined", ":", "::", "0" * 32, "é" * 40, 0, [], {}, "x" * 501])
def test_what_is_no_token_is_refused(api: APIClient, owner: User, token: object) -> None:
    assert api.post(URL, {"token": token}).status_code == 400


def test_letter_goes_only_to_who_needs_it(api: APIClient, owner: User, run_jobs: Callable[[], list[str]]) -> None:
    services.verify_email(token=links.make(owner, links.VERIFY_EMAIL))
    answers = [api.post(RESEND, {"email": email}) for email in (owner.email, "nobody@example.com")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert run_jobs() == ["users.send_verification_email"] * 2
    assert mail.outbox == []


def test_fourth_letter_in_an_hour_is_refused_alike(api: APIClient, owner: User, one_window: None) -> None:
    for email in (owner.email, "nobody@example.com"):
        assert [api.post(RESEND, {"email": email}).status_code for _ in range(4)] == [202, 202, 202, 429]
