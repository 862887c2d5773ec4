from collections.abc import Callable
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from backend.users import services
from backend.users.models import RefreshToken, Session, User

URL = "/api/v1/auth/sessions/"
Client = Callable[[User], APIClient]


def test_lists_live_sessions_of_oneself(as_user: Client, owner: User, stranger: User) -> None:
    services.open_session(user=owner, user_agent="Phone")
    services.open_session(user=stranger, user_agent="Strange")
    ended = services.open_session(user=owner, user_agent="Ended")
    services.end_sessions(user=owner, only=Session.objects.get(user_agent="Ended").pk)
    answer = as_user(owner).get(URL).json()
    assert {(each["user_agent"], each["current"]) for each in answer["results"]} == {("tests", True), ("Phone", False)}
    assert ended.refresh not in str(answer)


def test_cookie_is_none_of_them(api: APIClient, owner: User) -> None:
    services.open_session(user=owner, user_agent="Phone")
    api.force_login(owner)
    assert [each["current"] for each in api.get(URL).json()["results"]] == [False]


def test_ending_one_leaves_the_others(as_user: Client, owner: User) -> None:
    here, there = as_user(owner), as_user(owner)
    other = there.get(URL).json()["results"][0]["id"]
    assert here.delete(f"{URL}{other}/").status_code == 204
    assert (here.get(URL).status_code, there.get(URL).status_code) == (200, 401)
    assert here.delete(f"{URL}{other}/").status_code == 404


def test_foreign_session_is_as_absent_as_a_random_one(as_user: Client, owner: User, stranger: User) -> None:
    theirs = as_user(stranger)
    foreign = theirs.get(URL).json()["results"][0]["id"]
    answers = [as_user(owner).delete(f"{URL}{each}/") for each in (foreign, uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert len({answer.json()["code"] for answer in answers}) == 1
    assert theirs.get(URL).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "delete"])
def test_anonymous_is_refused(api: APIClient, method: str) -> None:
    url = URL if method == "get" else f"{URL}{uuid4()}/"
    assert getattr(api, method)(url).status_code == 401


def test_logout_all_ends_every_session(as_user: Client, owner: User, api: APIClient) -> None:
    clients = [as_user(owner), as_user(owner), api]
    api.force_login(owner)
    assert clients[0].post("/api/v1/auth/logout-all/").status_code == 204
    assert [client.get(URL).status_code for client in clients] == [401, 401, 401]


def test_logout_ends_this_session_only(as_user: Client, owner: User) -> None:
    here, there = as_user(owner), as_user(owner)
    assert here.post("/api/v1/auth/logout/").status_code == 204
    assert (here.get(URL).status_code, there.get(URL).status_code) == (401, 200)


def test_logout_of_a_cookie_ends_the_cookie(as_user: Client, owner: User, api: APIClient) -> None:
    other = as_user(owner)
    api.force_login(owner)
    assert api.post("/api/v1/auth/logout/").status_code == 204
    assert (api.get(URL).status_code, other.get(URL).status_code) == (401, 200)


def test_cookie_needs_a_csrf_token(owner: User) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(owner)
    assert browser.post("/api/v1/auth/logout-all/").status_code == 403


def test_rows_of_ended_sessions_are_forgotten(owner: User) -> None:
    services.open_session(user=owner, user_agent="old")
    RefreshToken.objects.update(expires_at="2020-01-01T00:00:00Z")
    Session.objects.update(expires_at="2020-01-01T00:00:00Z")
    services.open_session(user=owner, user_agent="new")
    assert services.forget_ended_sessions() == 1
    assert [each.user_agent for each in Session.objects.all()] == ["new"]
    assert RefreshToken.objects.count() == 1
