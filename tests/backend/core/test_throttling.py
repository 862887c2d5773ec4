from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from backend.core.errors import TooManyRequests
from backend.core.models import RateCounter
from backend.core.throttling import Limit, hit

DAILY = Limit("test", 3, timedelta(days=1))


def admitted(ident: str) -> bool:
    try:
        hit(DAILY, ident)
    except TooManyRequests:
        return False
    finally:
        connections.close_all()
    return True


@pytest.mark.django_db(transaction=True)
def test_parallel_attempts_are_all_counted() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(admitted, ["someone@example.com"] * 40)) == 3


@pytest.mark.django_db
def test_past_the_limit_it_says_when_to_come_back() -> None:
    for _ in range(3):
        hit(DAILY, "a")
    with pytest.raises(TooManyRequests) as caught:
        hit(DAILY, "a")
    wait = caught.value.retry_after or 0
    assert 0 < wait <= 24 * 3600
    assert caught.value.details == {"scope": "test", "limit": 3, "retry_after": wait}
    hit(DAILY, "b")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (121, "3 minutes"), (7200, "2 hours")],
)
def test_the_sentence_says_how_long(seconds: int, words: str) -> None:
    assert TooManyRequests(seconds, details={}).message == f"Too many requests; try again in {words}."


@pytest.mark.django_db
def test_what_is_limited_is_not_stored_in_clear() -> None:
    hit(DAILY, "someone@example.com")
    assert "someone" not in RateCounter.objects.get().ident


@pytest.mark.django_db
def test_zero_switches_a_limit_off() -> None:
    hit(Limit("test", 0, timedelta(days=1)), "a")
    assert not RateCounter.objects.exists()
