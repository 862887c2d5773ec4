"""R22: when the reader leaves, the vendor's stream is closed too, and no longer paid for."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulators.gemini import GeminiEmulator
from tests.emulators.journal import Call
from tests.promises.whole_product import Asker, asker, running_answers, state_of
from tests.stack import Stack

STREAM = "streamGenerateContent"
READERS = 10


@pytest.fixture(scope="module")
def strict(stack: Stack) -> Asker:
    return asker(stack, "r22", strictness="strict")


@pytest.fixture(scope="module")
def telling(stack: Stack) -> Asker:
    """Whose bot shows what the model says as it comes, supported or not."""
    return asker(stack, "r22-telling", strictness="prefer")


@pytest.fixture(autouse=True)
def _calm(gemini: GeminiEmulator) -> Iterator[None]:
    yield
    gemini.reset()


def streams(gemini: GeminiEmulator) -> list[Call]:
    return [call for call in gemini.journal.calls if call.route == STREAM]


@pytest.mark.parametrize("state", ["idle", "streaming", "withheld"])
def test_leaving_closes_the_vendors_stream_within_five_seconds(
    state: str, stack: Stack, strict: Asker, telling: Asker, gemini: GeminiEmulator
) -> None:
    """Withheld: the vendor says a lot, and nothing of it is shown."""
    gemini.fault(STREAM, "hang" if state == "idle" else "forever", times=READERS)
    gemini.script.latency(STREAM, piece=0.05)  # slow enough for readers to leave before a limit is reached
    someone = telling if state == "streaming" else strict
    conversations = [someone.conversation() for _ in range(READERS)]
    begun = {"idle": 0, "withheld": 3}

    def leave(conversation: str) -> float:
        with someone.stream(conversation) as response:
            for line in response.iter_lines():
                assert state == "streaming" or line != "event: delta"
                if line == ("event: delta" if state == "streaming" else "event: meta"):
                    break
            if state in begun:
                asked = conversations.index(conversation) + 1
                stack.wait_for(lambda: len(streams(gemini)) == asked, "the vendor to be asked", 20)
                stack.wait_for(lambda: streams(gemini)[-1].pieces >= begun[state], "the vendor to speak", 20)
        return time.monotonic()

    # Those that are shown nothing go one after the other: the vendor that says nothing is given up 1.5 s after it was
    # asked, and an answer 4 s.
    with ThreadPoolExecutor(READERS if state == "streaming" else 1) as pool:
        left = max(pool.map(leave, conversations))
    stack.wait_for(lambda: all(call.ended for call in streams(gemini)), "the vendor's streams to close", 6)
    ends = [call.finished - left for call in streams(gemini) if call.finished]
    print(f"{state}: {len(ends)} of {READERS} closed, the last {max(ends):.2f} s after the last reader left")
    assert [call.ended for call in streams(gemini)] == ["client_closed"] * READERS
    assert max(ends) <= 5
    stack.wait_for(lambda: running_answers(stack) == 0, "the answers to end", 10)
    # Ended because their readers left, and not by a limit of time or tokens, which would close the stream as well.
    assert [state_of(stack, conversation) for conversation in conversations] == ["stopped"] * READERS
