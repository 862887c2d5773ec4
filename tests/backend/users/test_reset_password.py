from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import httpx
import pytest
from django.core import mail
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient

from backend.users import links, services
from backend.users.models import User
from tests.conftest import PASSWORD

URL = "/api/v1/auth/reset-password/"
CONFIRM = "/api/v1/auth/reset-password/confirm/"
NEW = "a new long secret"


def test_link_sets_the_password_once(api: APIClient, owner: User, link_token: Callable[[], str]) -> None:
    assert api.post(URL, {"email": "OWNER@example.com"}).status_code == 202
    token = link_token()
    assert api.post(CONFIRM, {"token": token, "password": NEW}).status_code == 204
    again = api.post(CONFIRM, {"token": token, "password": NEW + "!"})
    assert (again.status_code, again.json()["code"]) == (400, "invalid_link")
    owner.refresh_from_db()
    assert owner.check_password(NEW)
    assert owner.email_verified_at is not None


def test_only_one_of_parallel_uses_counts(transactional_db: None, live_server: LiveServer, owner: User) -> None:
    token, start = links.make(owner, links.RESET_PASSWORD), Barrier(4)

    def use(number: int) -> int:
        start.wait(timeout=30)
        body = {"token": token, "password": f"{NEW} {number}"}
        return httpx.post(live_server.url + CONFIRM, json=body, trust_env=False, timeout=30).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [204, 400, 400, 400]


def test_known_unknown_and_suspended_are_answered_alike(
    api: APIClient, owner: User, stranger: User, run_jobs: Callable[[], list[str]]
) -> None:
    services.suspend(user=stranger)
    answers = [api.post(URL, {"email": each}) for each in (owner.email, "nobody@example.com", stranger.email)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert run_jobs() == ["users.send_password_reset_email"] * 3
    assert [letter.to for letter in mail.outbox] == [[owner.email]]


def test_letter_goes_to_the_stored_address(api: APIClient, db: None, run_jobs: Callable[[], list[str]]) -> None:
    User.objects.create_user("kate@example.com", PASSWORD)
    api.post(URL, {"email": "\u212aate@example.com"})  # KELVIN SIGN, whose lower case is k
    run_jobs()
    assert [letter.to for letter in mail.outbox] == [["kate@example.com"]]


def test_weak_password_leaves_the_link_usable(api: APIClient, owner: User) -> None:
    token = links.make(owner, links.RESET_PASSWORD)
    assert api.post(CONFIRM, {"token": token, "password": "short"}).json()["code"] == "weak_password"
    assert api.post(CONFIRM, {"token": token, "password": NEW}).status_code == 204


@pytest.mark.parametrize("spoil", ["password", "email", "suspend", "expire", "purpose"])
def test_link_dies_with_what_it_was_made_for(api: APIClient, owner: User, settings: Settings, spoil: str) -> None:
    token = links.make(owner, links.VERIFY_EMAIL if spoil == "purpose" else links.RESET_PASSWORD)
    if spoil == "password":
        services.change_password(user=owner, current=PASSWORD, new=NEW, keep=None)
    elif spoil == "email":
        User.objects.update(email="moved@example.com")
    elif spoil == "suspend":
        User.objects.update(is_active=False)
    elif spoil == "expire":
        settings.EMAIL_LINK_LIFETIME = timedelta(seconds=-1)
    assert api.post(CONFIRM, {"token": token, "password": NEW}).json()["code"] == "invalid_link"


@pytest.mark.parametrize("token", [None, "", "null", "undefined", ":", "::", "0" * 32, "é" * 40, 0, [], {}, "x" * 501])
def test_what_is_no_token_is_refused(api: APIClient, owner: User, token: object) -> None:
    assert api.post(CONFIRM, {"token": token, "password": NEW}).status_code == 400


def test_fourth_letter_in_an_hour_is_refused_alike(api: APIClient, owner: User, one_window: None) -> None:
    for email in (owner.email, "nobody@example.com"):
        assert [api.post(URL, {"email": email}).status_code for _ in range(4)] == [202, 202, 202, 429]
