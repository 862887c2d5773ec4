from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from backend.users import api_keys, services
from backend.users.authentication import CredentialAuthentication
from backend.users.models import ApiKey, User
from tests.conftest import PASSWORD

KEYS = "/api/v1/api-keys/"


@pytest.fixture
def key(owner: User) -> str:
    return api_keys.create(user=owner, name="build server")[1]


def knock(**headers: str) -> int:
    return APIClient().get("/api/v1/me/", headers=headers).status_code


def test_a_new_key_is_shown_once(as_user: Callable[[User], APIClient], owner: User) -> None:
    client = as_user(owner)
    made = client.post(KEYS, {"name": "build server"})
    assert made.status_code == 201
    assert made.json()["key"].startswith(made.json()["shown"])
    listed = client.get(KEYS)
    assert [row["name"] for row in listed.json()["results"]] == ["build server"]
    assert made.json()["key"] not in listed.content.decode()
    assert not ApiKey.objects.filter(hash=made.json()["key"]).exists()


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "Api-Key", "x-api-key"])
def test_every_header_spelling_opens_the_same_door(key: str, header: str) -> None:
    assert knock(**{header: f"Bearer {key}" if header == "Authorization" else key}) == 200
    assert knock(**{header: f"Bearer {key}x" if header == "Authorization" else key + "x"}) == 401


def test_two_different_credentials_are_refused(key: str, stranger: User) -> None:
    other = api_keys.create(user=stranger, name="other")[1]
    assert knock(**{"Authorization": f"Bearer {key}", "X-API-Key": other}) == 401
    assert knock(**{"Authorization": f"Bearer {key}", "X-API-Key": key}) == 200


@pytest.mark.parametrize("text", ["", "cs_", "cs_" + "a" * 43, "cs_" + "é" * 43, "cs_" + "a" * 100_000])
@pytest.mark.django_db
def test_what_is_no_key_of_ours_is_refused(text: str) -> None:
    request = Request(APIRequestFactory().get("/"))
    request._request.META["HTTP_X_API_KEY"] = text
    with pytest.raises(Exception, match="not valid"):
        CredentialAuthentication().authenticate(request)


def test_a_key_costs_one_query_once_its_use_is_noted(
    key: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert knock(**{"X-API-Key": key}) == 200
    assert ApiKey.objects.get().last_used_at is not None
    with django_assert_num_queries(1):
        assert api_keys.find(key) is not None


def test_an_expired_key_is_refused(owner: User) -> None:
    _, key = api_keys.create(user=owner, name="short", expires_at=timezone.now() + timedelta(hours=1))
    assert knock(**{"X-API-Key": key}) == 200
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert knock(**{"X-API-Key": key}) == 401


def test_a_revoked_key_is_refused_and_its_neighbour_is_not(
    key: str, owner: User, as_user: Callable[[User], APIClient]
) -> None:
    _, other = api_keys.create(user=owner, name="other")
    row = ApiKey.objects.get(name="build server")
    assert as_user(owner).delete(f"{KEYS}{row.pk}/").status_code == 204
    assert (knock(**{"X-API-Key": key}), knock(**{"X-API-Key": other})) == (401, 200)
    assert as_user(owner).delete(f"{KEYS}{row.pk}/").status_code == 404


def test_a_stranger_revokes_nothing(key: str, stranger: User, as_user: Callable[[User], APIClient]) -> None:
    assert as_user(stranger).delete(f"{KEYS}{ApiKey.objects.get().pk}/").status_code == 404
    assert knock(**{"X-API-Key": key}) == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", KEYS, {"name": "more"}),
        ("get", KEYS, None),
        ("get", "/api/v1/auth/sessions/", None),
        ("post", "/api/v1/auth/logout-all/", None),
        ("post", "/api/v1/auth/change-password/", {"current_password": PASSWORD, "new_password": "a new long secret"}),
        ("patch", "/api/v1/me/", {"name": "taken over"}),
        ("delete", "/api/v1/me/", {"password": PASSWORD}),
    ],
)
def test_a_key_does_not_reach_the_account_itself(method: str, path: str, body: object, key: str) -> None:
    client = APIClient(headers={"X-API-Key": key})
    answer = getattr(client, method)(path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "person_required")


def test_no_more_keys_than_allowed(owner: User, settings: Settings, as_user: Callable[[User], APIClient]) -> None:
    settings.API_KEYS_LIMIT = 2
    client = as_user(owner)
    statuses = [client.post(KEYS, {"name": str(number)}).status_code for number in range(3)]
    assert statuses == [201, 201, 409]


def test_an_end_in_the_past_is_refused(owner: User, as_user: Callable[[User], APIClient]) -> None:
    answer = as_user(owner).post(KEYS, {"name": "x", "expires_at": "2020-01-01T00:00:00Z"})
    assert answer.status_code == 400


def test_a_change_of_the_password_revokes_the_keys(key: str, owner: User) -> None:
    services.change_password(user=owner, current=PASSWORD, new="a new long secret", keep=None)
    assert knock(**{"X-API-Key": key}) == 401
