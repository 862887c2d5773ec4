"""R22: when the reader leaves, the vendor's stream is closed too, and no longer paid for."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulators.gemini import GeminiEmulator
from tests.emulators.journal import Call
from tests.promises.whole_product import Asker, asker, running_answers, state_of
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")
STREAM = "streamGenerateContent"
READERS = 10


@pytest.fixture(scope="module")
def someone(stack: Stack) -> Asker:
    return asker(stack, "r22")


@pytest.fixture(autouse=True)
def _calm(gemini: GeminiEmulator) -> Iterator[None]:
    yield
    gemini.reset()


def streams(gemini: GeminiEmulator) -> list[Call]:
    return [call for call in gemini.journal.calls if call.route == STREAM]


@pytest.mark.parametrize("state", ["idle", "streaming"])
def test_leaving_closes_the_vendors_stream_within_five_seconds(
    state: str, stack: Stack, someone: Asker, gemini: GeminiEmulator
) -> None:
    if state == "idle":
        gemini.fault(STREAM, "hang", times=READERS)
    else:
        gemini.fault(STREAM, "forever", times=READERS, seconds=0.1)
    conversations = [someone.conversation() for _ in range(READERS)]

    def leave(conversation: str) -> float:
        with someone.stream(conversation) as response:
            for line in response.iter_lines():
                if line == ("event: meta" if state == "idle" else "event: delta"):
                    break
            if state == "idle":
                asked = conversations.index(conversation) + 1
                stack.wait_for(lambda: len(streams(gemini)) == asked, "the vendor to be asked", 20)
        return time.monotonic()

    # Idle ones one after the other: the vendor that says nothing is given up 1.5 s after it was asked.
    with ThreadPoolExecutor(1 if state == "idle" else READERS) as pool:
        left = max(pool.map(leave, conversations))
    stack.wait_for(lambda: all(call.ended for call in streams(gemini)), "the vendor's streams to close", 6)
    ends = [call.finished - left for call in streams(gemini) if call.finished]
    print(f"{state}: {len(ends)} of {READERS} closed, the last {max(ends):.2f} s after the last reader left")
    assert [call.ended for call in streams(gemini)] == ["client_closed"] * READERS
    assert max(ends) <= 5
    stack.wait_for(lambda: running_answers(stack) == 0, "the answers to end", 10)
    # Ended because their readers left, and not by a limit of time or tokens, which would close the stream as well.
    assert [state_of(stack, conversation) for conversation in conversations] == ["stopped"] * READERS
