"""R25 in short form, at the agent against the vendor's wire: a vendor in trouble is asked hardly more than usual."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agent_service.main import create_app
from agent_service.settings import Settings
from tests.agent_service.calls import Caller, new_caller
from tests.agent_service.conftest import (
    agent_database_url,
    agent_settings,
    gemini,
    gemini_server,
    pinecone_server,
    vendor_settings,
)
from tests.emulators.gemini import GeminiEmulator
from tests.serving import serve

__all__ = ["agent_database_url", "agent_settings", "gemini", "gemini_server", "pinecone_server", "vendor_settings"]

STREAM = "streamGenerateContent"
BURST = 3
QUESTION: dict[str, Any] = {
    "model": "google:gemini-2.5-flash",
    "temperature": 0,
    "strictness": "free",
    "question": "Why?",
    "max_output_tokens": 50,
}


@pytest.fixture
def caller(
    vendor_settings: Callable[..., Settings], agent_settings: Settings, gemini: GeminiEmulator
) -> Iterator[Caller]:
    changes = {
        "agent_database_url": agent_settings.agent_database_url,
        "retry_delay_seconds": 0.01,
        "retry_budget_burst": BURST,
        "breaker_failures": 10_000,
        "model_total_seconds": 5.0,
    }
    with serve(create_app(vendor_settings(**changes))) as url:
        yield new_caller(url)


def ends(caller: Caller) -> tuple[str, Any]:
    return caller.events(QUESTION)[-1]


def calls(gemini: GeminiEmulator) -> int:
    return len([call for call in gemini.journal.calls if call.route == STREAM])


@pytest.mark.parametrize("kind", ["503", "429"])
def test_a_vendor_in_trouble_sees_little_more_than_it_is_asked(
    kind: str, caller: Caller, gemini: GeminiEmulator
) -> None:
    gemini.fault(STREAM, kind)
    with ThreadPoolExecutor(4) as pool:
        assert {name for name, _ in pool.map(lambda _: ends(caller), range(20))} == {"error"}  # the burst is spent
        before = calls(gemini)
        list(pool.map(lambda _: ends(caller), range(40)))
    asked = calls(gemini) - before
    print(f"{kind}: {asked} calls for 40 requests after the first 20, which made {before}")
    assert asked <= 40 * 1.2
    assert before <= 20 * 1.1 + BURST


def test_one_request_makes_at_most_three_calls(caller: Caller, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "503")
    assert ends(caller)[0] == "error"
    assert 1 < calls(gemini) <= 3


def test_who_asks_to_wait_past_the_deadline_is_not_asked_again(caller: Caller, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "429", retry_after=60)
    assert ends(caller)[0] == "error"
    assert calls(gemini) == 1


@pytest.mark.parametrize("kind", ["err_mid", "cut", "cutrst", "stall"])
def test_after_the_first_word_nothing_is_asked_again(kind: str, caller: Caller, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, kind, after=1)
    events = caller.events(QUESTION)
    assert events[0][0] == "delta"
    assert events[-1][0] == "error"
    assert calls(gemini) == 1
