"""S6 for accounts: many at once, under many names, and still no more tries than the limit."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from pytest_django.live_server_helper import LiveServer

from backend.users.models import User
from tests.conftest import PASSWORD

TRIES = 50
SPELLINGS = ["owner@example.com", "OWNER@example.com", " owner@example.com", "Owner@Example.Com", "owner@EXAMPLE.com"]


@pytest.mark.usefixtures("transactional_db", "one_window")
def test_parallel_tries_under_many_names_stay_within_the_limit(live_server: LiveServer, owner: User) -> None:
    def attempt(number: int) -> int:
        spoofed = f"198.51.100.{number}"
        headers = {"X-Forwarded-For": spoofed, "Forwarded": f"for={spoofed}", "X-Real-IP": spoofed}
        body = {"email": SPELLINGS[number % len(SPELLINGS)], "password": "wrong " + PASSWORD}
        url = f"{live_server.url}/api/v1/auth/login/"
        return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(attempt, range(TRIES)))
    assert sorted(set(answers)) == [401, 429]
    assert answers.count(401) <= 5
