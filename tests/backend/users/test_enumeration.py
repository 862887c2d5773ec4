"""S21: how long an answer takes tells nothing about who has an account."""

import statistics
import time
from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from backend.core.ids import uuid7
from backend.users.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("slow_hashing")
CALLS: dict[str, tuple[str, Callable[[str], dict[str, str]]]] = {
    "login": ("auth/login/", lambda email: {"email": email, "password": "wrong " + PASSWORD}),
    "reset": ("auth/reset-password/", lambda email: {"email": email}),
    "verify": ("auth/resend-verification/", lambda email: {"email": email}),
    "register": ("auth/register/", lambda email: {"email": email, "password": PASSWORD}),
}


def spent(api: APIClient, path: str, body: dict[str, str]) -> float:
    """CPU seconds, of the threads that hash too: other load on the machine does not count."""
    start = time.process_time()
    api.post(f"/api/v1/{path}", body)
    return time.process_time() - start


def difference(api: APIClient, path: str, body: Callable[[str], dict[str, str]], known: str, samples: int) -> float:
    """Of the medians, as a share of the smaller; taken in turns, so that a drift meets both."""
    pairs = [(spent(api, path, body(known)), spent(api, path, body(f"{uuid7()}@example.com"))) for _ in range(samples)]
    here = statistics.median(known_time for known_time, _ in pairs)
    there = statistics.median(unknown_time for _, unknown_time in pairs)
    return abs(here - there) / min(here, there)


@pytest.mark.parametrize("name", CALLS)
def test_known_and_unknown_take_alike(name: str, api: APIClient, owner: User, no_limits: None) -> None:
    path, body = CALLS[name]
    spent(api, path, body("warm@example.org"))
    tries = (difference(api, path, body, owner.email, 10) for _ in range(4))
    assert any(share < 0.25 for share in tries)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CALLS)
def test_medians_of_200_differ_by_less_than_a_tenth(name: str, api: APIClient, owner: User, no_limits: None) -> None:
    path, body = CALLS[name]
    spent(api, path, body("warm@example.org"))
    assert difference(api, path, body, owner.email, 200) < 0.10
