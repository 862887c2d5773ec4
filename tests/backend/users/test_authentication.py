from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from backend.users import services
from backend.users.authentication import CredentialAuthentication
from backend.users.models import Session, User


def test_costs_one_query(owner: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pair = services.open_session(user=owner, user_agent="")
    request = Request(APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"bearer {pair.access}"))
    with django_assert_num_queries(1):
        found = CredentialAuthentication().authenticate(request)
        assert found is not None
        assert (found[0], found[1].user.email) == (owner, owner.email)


@pytest.mark.django_db
def test_anonymous_gets_our_error_body(api: APIClient) -> None:
    answer = api.get("/api/v1/me/")
    assert answer.status_code == 401
    assert set(answer.json()) == {"code", "message", "details", "request_id"}
    assert answer.json()["code"] == "not_authenticated"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="chatsphere"'


def test_bad_token_is_refused_even_beside_a_good_cookie(api: APIClient, owner: User) -> None:
    api.force_login(owner)
    assert api.get("/api/v1/me/").status_code == 200
    assert api.get("/api/v1/me/", HTTP_AUTHORIZATION="Bearer x").status_code == 401


def test_session_past_its_end_is_refused(owner: User, as_user: Callable[[User], APIClient]) -> None:
    client = as_user(owner)
    Session.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert client.get("/api/v1/me/").status_code == 401
