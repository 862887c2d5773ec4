"""S5: a refresh token is worth one pair. Racing callers share it, a thief ends the session."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import httpx
import pytest
from django.db.models import F
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient

from backend.users import services, tokens
from backend.users.models import RefreshToken, Session, User

URL = "/api/v1/auth/refresh/"
CALLERS = 16


def refresh(token: str) -> Any:
    return APIClient().post(URL, {"refresh": token})


def me(access: str) -> int:
    return APIClient().get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {access}").status_code


def age(token: str, seconds: float) -> None:
    RefreshToken.objects.filter(hash=tokens.hash_of(token)).update(used_at=F("used_at") - timedelta(seconds=seconds))


@pytest.fixture
def first(owner: User) -> tokens.TokenPair:
    return services.open_session(user=owner, user_agent="")


def test_gives_a_new_pair_that_works(first: tokens.TokenPair) -> None:
    second = refresh(first.refresh).json()
    assert second["refresh"] != first.refresh
    assert me(second["access"]) == 200
    assert refresh(second["refresh"]).status_code == 200


def test_sixteen_parallel_uses_give_one_pair(transactional_db: None, live_server: LiveServer, owner: User) -> None:
    first = services.open_session(user=owner, user_agent="")
    start = Barrier(CALLERS)

    def call(_: int) -> tuple[int, str, str]:
        with httpx.Client(base_url=live_server.url, trust_env=False, timeout=30) as client:
            start.wait(timeout=30)
            answer = client.post(URL, json={"refresh": first.refresh})
        return answer.status_code, answer.json()["access"], answer.json()["refresh"]

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = set(pool.map(call, range(CALLERS)))
    assert len(answers) == 1
    status, access, _ = answers.pop()
    assert (status, me(access)) == (200, 200)
    assert RefreshToken.objects.count() == 2


def test_within_the_grace_the_same_pair_comes_back(first: tokens.TokenPair) -> None:
    answers = [refresh(first.refresh).json() for _ in range(3)]
    assert len({(answer["access"], answer["refresh"]) for answer in answers}) == 1


def test_reuse_after_the_grace_ends_the_whole_family(first: tokens.TokenPair, owner: User) -> None:
    elsewhere = services.open_session(user=owner, user_agent="")
    second = refresh(first.refresh).json()
    third = refresh(second["refresh"]).json()
    age(first.refresh, 11)
    thief = refresh(first.refresh)
    assert (thief.status_code, thief.json()["code"]) == (401, "refresh_token_reused")
    assert [me(access) for access in (first.access, second["access"], third["access"])] == [401] * 3
    assert refresh(third["refresh"]).json()["code"] == "invalid_refresh_token"
    assert me(elsewhere.access) == 200


def test_without_grace_a_second_use_is_reuse(first: tokens.TokenPair, settings: Settings) -> None:
    settings.REFRESH_GRACE = timedelta(seconds=-1)
    assert [refresh(first.refresh).status_code for _ in range(2)] == [200, 401]


def test_expired_token_is_refused_and_harms_nobody(first: tokens.TokenPair) -> None:
    RefreshToken.objects.update(expires_at=F("created_at"))
    assert refresh(first.refresh).json()["code"] == "invalid_refresh_token"
    assert me(first.access) == 200


def test_logout_revokes_access_and_refresh(first: tokens.TokenPair) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {first.access}")
    assert client.post("/api/v1/auth/logout/").status_code == 204
    assert me(first.access) == 401
    assert refresh(first.refresh).status_code == 401


def test_logout_reaches_the_successors_of_racing_callers(first: tokens.TokenPair) -> None:
    second = refresh(first.refresh).json()
    Session.objects.update(revoked_at=F("created_at"))
    assert refresh(first.refresh).status_code == 401
    assert refresh(second["refresh"]).status_code == 401


@pytest.mark.parametrize("end", [services.suspend, services.delete_account])
def test_user_who_is_gone_gets_401(first: tokens.TokenPair, owner: User, end: Any) -> None:
    second = refresh(first.refresh).json()
    end(user=owner)
    assert [refresh(token).status_code for token in (first.refresh, second["refresh"])] == [401, 401]
    assert me(second["access"]) == 401


def test_user_whose_row_is_gone_gets_401(first: tokens.TokenPair, owner: User) -> None:
    owner.delete()
    assert (refresh(first.refresh).status_code, me(first.access)) == (401, 401)


@pytest.mark.parametrize("token", ["", "null", "x" * 43, "é" * 43, "x" * 201, None, 1, [], {}, "a.b.c"])
@pytest.mark.django_db
def test_what_is_no_refresh_token_is_refused(token: object) -> None:
    assert APIClient().post(URL, {"refresh": token}).status_code in {400, 401}


def test_successor_needs_our_key(first: tokens.TokenPair, settings: Settings) -> None:
    ours = tokens.successor_of(first.refresh)
    settings.JWT_SIGNING_KEY = "another key of at least thirty-two characters"
    assert tokens.successor_of(first.refresh) != ours


@limits(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12))
def test_any_order_of_uses_leaves_one_chain_or_none(owner: User, steps: list[tuple[int, bool]]) -> None:
    """Each step presents one of the tokens seen so far, late or at once; a model says what must come of it."""
    chain = [services.open_session(user=owner, user_agent="").refresh]
    alive = True
    for chosen, late in steps:
        at = min(chosen, len(chain) - 1)
        if late:
            age(chain[at], 11)
        overdue = at < len(chain) - 1 and late
        answer = refresh(chain[at])
        assert answer.status_code == (200 if alive and not overdue else 401)
        alive = alive and not overdue
        if alive and at == len(chain) - 1:
            chain.append(answer.json()["refresh"])
        elif alive:
            assert answer.json()["refresh"] == chain[at + 1]
            continue
