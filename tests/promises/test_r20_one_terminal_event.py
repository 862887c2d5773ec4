"""R20 and R21 through the whole product: whatever the model's vendor does, a reader gets exactly one end, in time."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators.gemini import GeminiEmulator
from tests.promises.whole_product import Asker, asker, reserved, running_answers, wrong_settlements
from tests.stack import Stack

STREAM = "streamGenerateContent"
BROKEN = [
    *("429", "500", "503", "400", "html502", "rst", "hang", "slowhdr", "empty200", "notjson", "wrongshape", "redirect"),
    *("gzipbomb", "err_first", "cut", "cutrst", "stall", "err_mid", "hugeline", "nofinish"),
]
# An endless answer ends at the most tokens that were held for it; broken letters are shown as such.
WHOLE = ["forever", "badutf8", "drip", "nul", "maxtok", "neguse", "nouse", "fakesse", "xss"]
DEADLINE = 4 + 2  # MODEL_TOTAL_SECONDS of this stack, and the promise's tolerance


@pytest.fixture(scope="module")
def someone(stack: Stack) -> Asker:
    return asker(stack, "r20")


@pytest.fixture(autouse=True)
def _calm(gemini: GeminiEmulator) -> Iterator[None]:
    yield
    gemini.reset()


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def ask(someone: Asker, gemini: GeminiEmulator, kind: str) -> tuple[list[tuple[str, dict[str, object]]], float]:
    gemini.fault(STREAM, kind, times=1, seconds=0.05)
    started = time.monotonic()
    return someone.events(someone.conversation()), time.monotonic() - started


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_ends_in_one_error(
    kind: str, times: int, stack: Stack, someone: Asker, gemini: GeminiEmulator
) -> None:
    before = resident_bytes(stack.processes["agent"].pid)
    for _ in range(times):
        events, seconds = ask(someone, gemini, kind)
        names = [name for name, _ in events]
        print(f"{kind}: {names[-1]} {events[-1][1].get('code')} after {seconds:.1f} s")
        assert names.count("error") == 1
        assert names[-1] == "error"
        assert "done" not in names
        assert {"code", "message", "retryable", "request_id", "charged"} <= set(events[-1][1])
        assert seconds < DEADLINE
        assert len([call for call in gemini.journal.calls if call.route == STREAM]) <= 3
        gemini.reset()
    assert resident_bytes(stack.processes["agent"].pid) - before < 200 * 2**20


@pytest.mark.parametrize("kind", WHOLE)
def test_an_odd_answer_ends_once(kind: str, someone: Asker, gemini: GeminiEmulator) -> None:
    events, seconds = ask(someone, gemini, kind)
    names = [name for name, _ in events]
    assert sum(names.count(end) for end in ("done", "error")) == 1
    assert names[-1] in ("done", "error")
    assert set(names) <= {"meta", "delta", "citations", "usage", "done", "error"}
    assert seconds < DEADLINE


def test_a_refused_answer_says_so(someone: Asker, gemini: GeminiEmulator) -> None:
    events, _ = ask(someone, gemini, "safety")
    assert events[-1][0] in ("done", "error")
    if events[-1][0] == "done":
        assert events[-1][1]["finish_reason"] == "safety"


def test_negative_usage_never_pays_the_asker(someone: Asker, gemini: GeminiEmulator) -> None:
    before = someone.person.balance()["available"]
    ask(someone, gemini, "neguse")
    assert someone.person.balance()["available"] < before


FIRST_STEP = ["429", "hang", "cut", "stall"]
SECOND_STEP = [*FIRST_STEP, "err_mid", "nofinish"]
STEPS = 2
"""A search, then the answer: what is broken in the second comes in the middle."""


@pytest.fixture(scope="module")
def researcher(stack: Stack) -> Asker:
    return asker(stack, "r20-steps", agent="researcher", tools=["knowledge_search"])


@pytest.fixture(scope="module")
def modest(stack: Stack) -> Asker:
    return asker(stack, "r20-modest", agent="researcher", tools=["knowledge_search"], degrade=True)


def ask_in_steps(
    someone: Asker, gemini: GeminiEmulator, kind: str, skip: int
) -> tuple[list[tuple[str, dict[str, object]]], list[str]]:
    gemini.fault(STREAM, kind, times=1, skip=skip, seconds=0.05)
    started = time.monotonic()
    told = someone.events(someone.conversation())
    assert time.monotonic() - started < STEPS * DEADLINE
    return told, [name for name, _ in told]


@pytest.mark.parametrize(("skip", "kind"), [*((0, kind) for kind in FIRST_STEP), *((1, kind) for kind in SECOND_STEP)])
def test_an_answer_in_steps_that_breaks_ends_in_one_error(
    kind: str, skip: int, researcher: Asker, gemini: GeminiEmulator
) -> None:
    told, names = ask_in_steps(researcher, gemini, kind, skip)
    assert (names[-1], names.count("error"), names.count("done"), names.count("step")) == ("error", 1, 0, skip)
    assert {"code", "message", "retryable", "request_id", "charged"} <= set(told[-1][1])


@pytest.mark.parametrize("kind", ["503", "cut", "hang"])
def test_in_the_middle_of_steps_passages_are_quoted_where_the_owner_allows_it(
    kind: str, modest: Asker, gemini: GeminiEmulator
) -> None:
    told, names = ask_in_steps(modest, gemini, kind, 1)
    assert (names[-1], names.count("error"), names.count("done"), names.count("step")) == ("done", 0, 1, 1)
    assert told[-1][1]["finish_reason"] == "degraded"
    assert dict(told)["usage"]["charged"] == 0


def test_after_all_of_it_every_hold_is_settled_once(stack: Stack) -> None:
    stack.wait_for(lambda: running_answers(stack) == 0, "all answers to end", 20)
    assert wrong_settlements(stack) == []
    assert reserved(stack) == 0
