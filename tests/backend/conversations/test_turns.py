"""What a reader of a running answer gets to see, and in which order."""

from typing import Any

import pytest

from backend.conversations.answers.turns import PIECE_CHARS, Event, Turn
from backend.conversations.models import Answer


class _Opened:
    answer = Answer(model="local:extractive")


def turn() -> Turn:
    opened: Any = _Opened()
    running = Turn(opened, "-")
    running.show("One ")
    running.tell("step", {"number": 1})
    running.show("two ")
    running.show("three")
    running.tell("step", {"number": 2})
    running.end([("done", {})])
    return running


async def seen(running: Turn, after: int = 0) -> list[Any]:
    events = [event async for event in running.read(after)]
    return [event.data.get("text", event.data.get("number")) for event in events if isinstance(event, Event)][1:-1]


@pytest.mark.asyncio
async def test_what_is_told_stands_between_the_words_it_was_told_between() -> None:
    assert await seen(turn()) == ["One ", 1, "two three", 2]


@pytest.mark.asyncio
async def test_a_reader_who_comes_back_gets_what_was_told_since() -> None:
    assert await seen(turn(), after=6) == ["o three", 2]


@pytest.mark.asyncio
async def test_a_reader_far_behind_is_told_piece_by_piece() -> None:
    """What waits for a reader who takes nothing is a piece, and not all the rest of the text once more (R23)."""
    running = turn()
    rest = "".join(map(str, range(5 * PIECE_CHARS)))
    running.show(rest)
    pieces = [piece for piece in await seen(running) if isinstance(piece, str)]
    assert "".join(pieces) == f"One two three{rest}"
    assert max(map(len, pieces)) == PIECE_CHARS == 64 * 1024


def test_the_time_of_the_first_word_is_noted_once() -> None:
    running = turn()
    first = running.timings["first_word_ms"]
    running.show("more")
    assert running.timings["first_word_ms"] == first
