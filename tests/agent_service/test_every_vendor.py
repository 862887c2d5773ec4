"""R20 to R22 through the running agent, for every vendor alike: whatever the vendor does, one end, in time; and whoever
leaves ends the vendor's stream.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from agent_service.main import create_app
from agent_service.settings import Settings
from tests.agent_service.calls import Caller, asking, new_caller, passage
from tests.agent_service.vendors import GEMINI, OPENAI, VENDORS, Vendor
from tests.emulators.emulator import Emulator
from tests.emulators.server import Running
from tests.serving import serve

BROKEN = [
    *("429", "500", "503", "400", "html502", "rst", "hang", "slowhdr", "empty200", "notjson", "wrongshape", "redirect"),
    *("gzipbomb", "err_first", "cut", "cutrst", "stall", "err_mid", "hugeline", "nofinish"),
]
WHOLE = ["forever", "badutf8", "drip", "nul", "maxtok", "neguse", "nouse", "fakesse", "xss", "safety"]
TOTAL = 3.0
TOLERANCE = 10.0
"""More than the promise's 2 s, for a machine that does other things as well."""

DOG = passage("The dog weighs 12 kg. It likes bones.")
LIMITS = {"model_total_seconds": TOTAL, "model_first_byte_seconds": 1.0, "model_idle_seconds": 1.0}
CALM = {"model_retries": 0, "breaker_failures": 1000}

Start = Callable[..., Caller]


@pytest.fixture(scope="module")
def start(agent_settings: Settings, vendor_servers: dict[str, Running[Emulator]]) -> Iterator[Start]:
    """The agent with these vendors, as a deployment has it."""
    started: dict[str, Caller] = {}
    with ExitStack() as stack:

        def start(*vendors: Vendor, **changes: Any) -> Caller:
            name = "+".join(vendor.name for vendor in vendors) + repr(sorted(changes.items()))
            if name not in started:
                values = agent_settings.model_dump() | LIMITS | CALM | changes
                for vendor in vendors:
                    values |= vendor.settings(vendor_servers[vendor.name].url)
                values |= {"openai_chat_model": "gpt-4.1-mini", "anthropic_chat_model": "claude-haiku-4-5"}
                for endpoint in values["openai_endpoints"]:
                    endpoint["models"] = ["llama3.2"]
                settings = Settings(_env_file=None, **values)
                started[name] = new_caller(stack.enter_context(serve(create_app(settings))))
            return started[name]

        yield start


every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name, indirect=True)


@pytest.mark.parametrize("kind", BROKEN)
@every_vendor
def test_a_broken_answer_ends_in_one_error(vendor: Vendor, emulator: Emulator, start: Start, kind: str) -> None:
    emulator.fault(vendor.route, kind, after=1)
    started = time.monotonic()
    names, last = ended(start(vendor), vendor)
    assert (names.count("error"), names.count("done"), names[-1]) == (1, 0, "error")
    assert {"code", "message", "retryable", "request_id"} <= set(last)
    assert time.monotonic() - started < TOTAL + TOLERANCE
    assert emulator.journal.count() == 1


@pytest.mark.parametrize("kind", WHOLE)
@every_vendor
def test_an_odd_answer_ends_once(vendor: Vendor, emulator: Emulator, start: Start, kind: str) -> None:
    emulator.fault(vendor.route, kind, after=2)
    started = time.monotonic()
    names, _ = ended(start(vendor), vendor)
    assert names.count("error") + names.count("done") == 1
    assert names[-1] in ("error", "done")
    assert time.monotonic() - started < TOTAL + TOLERANCE


def ended(caller: Caller, vendor: Vendor) -> tuple[list[str], dict[str, Any]]:
    events = caller.events(asking("How much does the dog weigh?", DOG, model=vendor.id))
    return [name for name, _ in events], events[-1][1]


@pytest.mark.parametrize(("state", "fault"), [("idle", "hang"), ("streaming", "forever")], ids=["idle", "streaming"])
@every_vendor
def test_leaving_closes_the_vendors_stream(
    vendor: Vendor, emulator: Emulator, start: Start, state: str, fault: str
) -> None:
    emulator.fault(vendor.route, fault)
    emulator.script.latency(vendor.route, piece=0.02)
    caller = start(vendor, model_total_seconds=60.0, model_first_byte_seconds=60.0, model_idle_seconds=60.0)
    question = asking("How much does the dog weigh?", DOG, model=vendor.id, max_output_tokens=5_000)
    with caller.streaming(question) as response:
        if state == "streaming":
            next(response.iter_bytes())
        wait_until(lambda: emulator.journal.count() == 1)
    left = time.monotonic()
    wait_until(lambda: emulator.journal.open_streams == 0)
    assert [call.ended for call in emulator.journal.calls] == ["client_closed"]
    assert time.monotonic() - left < 5


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


@pytest.mark.parametrize("kind", ["503", "401", "429", "rst", "hang", "empty200"])
def test_openai_answers_where_gemini_fails(
    vendor_servers: dict[str, Running[Emulator]], start: Start, kind: str
) -> None:
    gemini, openai = vendor_servers["gemini"].emulator, vendor_servers["openai"].emulator
    gemini.reset()
    openai.reset()
    gemini.fault(GEMINI.route, kind, retry_after=5)
    question = asking("How much does the dog weigh?", DOG, model=GEMINI.id, fallbacks=[OPENAI.id])
    events = start(GEMINI, OPENAI, model_retries=2).events(question)
    assert "".join(data["text"] for name, data in events if name == "delta") == "The dog weighs 12 kg. [1]"
    [usage] = [data for name, data in events if name == "usage"]
    assert (usage["provider"], usage["model"]) == ("openai", "gpt-4.1-mini")
    assert (gemini.journal.count(), openai.journal.count()) == (1, 1)
