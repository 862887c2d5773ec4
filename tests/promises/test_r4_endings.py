"""R4: a stream that ends in any way settles once, and what it costs is what the table of endings says."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.emulators.gemini import GeminiEmulator
from tests.promises.whole_product import Asker, asker, charged, reserved, running_answers, wrong_settlements
from tests.stack import Stack

STREAM = "streamGenerateContent"


@pytest.fixture(scope="module")
def someone(stack: Stack) -> Asker:
    return asker(stack, "r4", strictness="prefer")  # which shows the words as they come


@pytest.fixture(autouse=True)
def _calm(gemini: GeminiEmulator) -> Iterator[None]:
    yield
    gemini.reset()


def until(lines: Iterator[str], wanted: str) -> None:
    for line in lines:
        if line == f"event: {wanted}":
            return


def mid_stream(act: Callable[[Stack, Asker, str], None]) -> Callable[[Stack, Asker, str, GeminiEmulator], None]:
    """An ending that comes after the first word."""

    def ending(stack: Stack, someone: Asker, conversation: str, gemini: GeminiEmulator) -> None:
        gemini.script.latency(STREAM, piece=0.4)
        try:
            with someone.stream(conversation) as response:
                lines = response.iter_lines()
                until(lines, "delta")
                act(stack, someone, conversation)
                for _ in lines:
                    continue
        except httpx.TransportError:
            pass  # the process that answered was killed; what it left behind is looked at afterwards

    return ending


def finished(stack: Stack, someone: Asker, conversation: str, gemini: GeminiEmulator) -> None:
    assert someone.events(conversation)[-1][0] == "done"


def stopped(stack: Stack, someone: Asker, conversation: str) -> None:
    (message,) = someone.person.get(f"conversations/{conversation}/messages/")["results"]
    someone.person.post(f"answers/{message['answers'][-1]['id']}/stop/")


def left_before_the_first_word(stack: Stack, someone: Asker, conversation: str, gemini: GeminiEmulator) -> None:
    gemini.script.latency(STREAM, call=1.2)
    with someone.stream(conversation) as response:
        until(response.iter_lines(), "meta")


def left_after_it(stack: Stack, someone: Asker, conversation: str, gemini: GeminiEmulator) -> None:
    gemini.script.latency(STREAM, piece=0.4)
    with someone.stream(conversation) as response:
        until(response.iter_lines(), "delta")


def agent_killed(stack: Stack, someone: Asker, conversation: str) -> None:
    stack.kill("agent")
    stack.restart("agent")


def web_killed(stack: Stack, someone: Asker, conversation: str) -> None:
    stack.kill("web")
    stack.restart("web")


def database_restarted(stack: Stack, someone: Asker, conversation: str) -> None:
    stack.restart_database()


def upstream(kind: str) -> Callable[[Stack, Asker, str, GeminiEmulator], None]:
    def ending(stack: Stack, someone: Asker, conversation: str, gemini: GeminiEmulator) -> None:
        gemini.fault(STREAM, kind, times=1)
        assert [name for name, _ in someone.events(conversation)][-1] == "error"

    return ending


PAID, FREE, EITHER = (True,), (False,), (True, False)
ENDINGS = {
    "done": (finished, PAID),
    "stop": (mid_stream(stopped), PAID),
    "left before the first word": (left_before_the_first_word, FREE),
    "left after it": (left_after_it, PAID),
    "upstream cut": (upstream("cut"), FREE),
    "upstream error": (upstream("err_mid"), FREE),
    "upstream stall": (upstream("stall"), FREE),
    "agent killed": (mid_stream(agent_killed), FREE),
    "web killed": (mid_stream(web_killed), FREE),
    # Finished once the database is back, or swept where that took too long: both are true endings.
    "database restarted": (mid_stream(database_restarted), EITHER),
}


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ENDINGS)
def test_it_settles_once_and_costs_what_it_should(
    name: str, times: int, stack: Stack, someone: Asker, gemini: GeminiEmulator
) -> None:
    ending, paid = ENDINGS[name]
    for _ in range(times):
        conversation = someone.conversation()
        ending(stack, someone, conversation, gemini)
        started = time.monotonic()
        stack.wait_for(lambda: running_answers(stack) == 0, "the answer to end", 20)
        cost = charged(stack, conversation)
        print(f"{name}: {cost} credits, ended {time.monotonic() - started:.1f} s later")
        assert (cost > 0) in paid
        gemini.reset()
    assert wrong_settlements(stack) == []
    assert reserved(stack) == 0


def test_the_ledger_adds_up_after_all_of_it(stack: Stack) -> None:
    assert "0 differences" in stack.command("ledger_audit").stdout
