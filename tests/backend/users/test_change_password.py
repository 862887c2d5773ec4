from collections.abc import Callable

import pytest
from django.core import mail
from rest_framework.test import APIClient

from backend.users.models import User
from tests.conftest import PASSWORD

URL = "/api/v1/auth/change-password/"
NEW = "a new long secret"
Client = Callable[[User], APIClient]


def test_ends_the_other_sessions(
    as_user: Client, owner: User, api: APIClient, run_jobs: Callable[[], list[str]]
) -> None:
    here, there = as_user(owner), as_user(owner)
    api.force_login(owner)
    assert here.post(URL, {"current_password": PASSWORD, "new_password": NEW}).status_code == 204
    assert [client.get("/api/v1/me/").status_code for client in (here, there, api)] == [200, 401, 401]
    owner.refresh_from_db()
    assert owner.check_password(NEW)
    assert run_jobs() == ["users.send_password_changed_email"]
    assert "password of owner@example.com" in str(mail.outbox[0].body)


def test_the_browser_that_changed_it_stays_logged_in(as_user: Client, owner: User, api: APIClient) -> None:
    bearer, other = as_user(owner), APIClient()
    api.force_login(owner)
    other.force_login(owner)
    assert api.post(URL, {"current_password": PASSWORD, "new_password": NEW}).status_code == 204
    assert [client.get("/api/v1/me/").status_code for client in (api, bearer, other)] == [200, 401, 401]


def test_needs_the_current_password(as_user: Client, owner: User) -> None:
    client = as_user(owner)
    answer = client.post(URL, {"current_password": "wrong", "new_password": NEW})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    assert client.post(URL, {"new_password": NEW}).status_code == 400


def test_weak_password_is_refused(as_user: Client, owner: User) -> None:
    answer = as_user(owner).post(URL, {"current_password": PASSWORD, "new_password": "owner@example"})
    assert answer.json()["code"] == "weak_password"
    assert answer.json()["details"]["password"][0]["code"] == "password_too_similar"


@pytest.mark.django_db
def test_anonymous_is_refused(api: APIClient) -> None:
    assert api.post(URL, {"current_password": PASSWORD, "new_password": NEW}).status_code == 401
