from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.users import tokens
from backend.users.models import RefreshToken, Session, User
from tests.conftest import PASSWORD

URL = "/api/v1/auth/login/"


def test_gives_a_pair_that_works(api: APIClient, owner: User) -> None:
    answer = api.post(
        URL, {"email": " Owner@Example.com", "password": PASSWORD}, HTTP_USER_AGENT="Phone\x7f" + "x" * 300
    )
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh", "expires_in"}
    assert 895 <= answer.json()["expires_in"] <= 900
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
    assert api.get("/api/v1/me/").json()["email"] == owner.email
    assert Session.objects.get().user_agent == "Phone" + "x" * 195


def test_refresh_token_is_stored_as_a_hash_only(api: APIClient, owner: User) -> None:
    refresh = api.post(URL, {"email": owner.email, "password": PASSWORD}).json()["refresh"]
    assert len(refresh) == 43
    row = RefreshToken.objects.get()
    assert row.hash == tokens.hash_of(refresh)
    assert str(row) == str(row.pk)


def test_wrong_password_and_unknown_address_are_answered_alike(api: APIClient, owner: User) -> None:
    wrong = api.post(URL, {"email": owner.email, "password": "wrong"})
    unknown = api.post(URL, {"email": "nobody@example.com", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert wrong.json()["code"] == "invalid_credentials"
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="chatsphere"'


def test_suspended_user_is_refused(api: APIClient, owner: User) -> None:
    User.objects.update(is_active=False)
    assert api.post(URL, {"email": owner.email, "password": PASSWORD}).json()["code"] == "invalid_credentials"
    assert not Session.objects.exists()


def test_unverified_is_told_only_who_knows_the_password(api: APIClient, owner: User, settings: Settings) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    wrong = api.post(URL, {"email": owner.email, "password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    right = api.post(URL, {"email": owner.email, "password": PASSWORD})
    assert (right.status_code, right.json()["code"]) == (403, "email_not_verified")
    User.objects.update(email_verified_at=timezone.now())
    assert api.post(URL, {"email": owner.email, "password": PASSWORD}).status_code == 200


class Overtaken(Argon2PasswordHasher):
    """Somebody changes the password while this one is being checked."""

    def verify(self, password: str, encoded: str) -> bool:
        right = super().verify(password, encoded)
        User.objects.update(password=make_password("a new long secret", hasher=Argon2PasswordHasher()))
        return right


def test_password_changed_while_it_was_checked_opens_no_session(
    api: APIClient, owner: User, settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.Overtaken"]
    assert api.post(URL, {"email": owner.email, "password": PASSWORD}).status_code == 401
    assert not Session.objects.exists()


def test_sixth_try_on_an_account_is_refused_even_with_the_right_password(
    api: APIClient, owner: User, one_window: None
) -> None:
    spellings = [
        "owner@example.com",
        "OWNER@example.com",
        " owner@Example.com",
        "Owner@EXAMPLE.com",
        "owner@example.COM",
    ]
    assert {api.post(URL, {"email": email, "password": "wrong"}).status_code for email in spellings} == {401}
    sixth = api.post(URL, {"email": owner.email, "password": PASSWORD}, HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert sixth.status_code == 429
    assert 1 <= int(sixth.headers["Retry-After"]) <= 60


@pytest.mark.django_db
def test_one_address_may_not_try_many_accounts(api: APIClient, settings: Settings, one_window: None) -> None:
    settings.LOGIN_LIMIT_PER_ADDRESS_MINUTE = 3
    tries = [{"email": f"u{number}@example.com", "password": "wrong"} for number in range(5)]
    spoofed = [{"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": "::1"} for number in range(5)]
    answers = [api.post(URL, each, headers=header).status_code for each, header in zip(tries, spoofed, strict=True)]
    assert answers == [401] * 3 + [429] * 2


def test_a_bad_access_token_does_not_stand_in_the_way(api: APIClient, owner: User) -> None:
    api.credentials(HTTP_AUTHORIZATION="Bearer expired")
    assert api.post(URL, {"email": owner.email, "password": PASSWORD}).status_code == 200


def test_access_token_names_the_session_and_expires(api: APIClient, owner: User, settings: Settings) -> None:
    settings.ACCESS_TOKEN_LIFETIME = timedelta(seconds=0)
    answer = api.post(URL, {"email": owner.email, "password": PASSWORD}).json()
    assert answer["expires_in"] == 0
    with pytest.raises(tokens.InvalidAccessToken):
        tokens.read_access(answer["access"])
    assert isinstance(Session.objects.get().pk, UUID)
