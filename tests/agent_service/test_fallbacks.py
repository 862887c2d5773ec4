"""Which model answers where one fails: the chain, its one deadline and its number of tries, and the places at a
vendor.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from agent_service.contract import ChatRequest, DeltaEvent, DoneEvent, Image, UsageEvent
from agent_service.errors import ImageInvalid, ImageTooLarge, ImageUnsupported, PromptTooLong, UpstreamError
from agent_service.pipeline.answering import Event, Speaker, answer
from agent_service.pipeline.calling import Limits, Policy, Upstream
from agent_service.ports import Piece
from tests.agent_service.doubles import STOP, ScriptedChat, Step
from tests.agent_service.knowledge import PASSAGES

DOWN = UpstreamError("unavailable", "first", status=503)
LIMITS = Limits(total=5, retries=2, first=1, idle=1)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


def model(name: str, *scripts: Sequence[Step]) -> ScriptedChat:
    return ScriptedChat(scripts or (["Hello", STOP],), id=f"fake:{name}")


def speaker(chat: ScriptedChat, limits: Limits = LIMITS, *, sees: bool = False, **policy: Any) -> Speaker:
    return Speaker(chat, Upstream(chat.id, Policy(retry_delay=0.001, **policy)), limits, sees=sees)


def request(**fields: Any) -> ChatRequest:
    usual = {
        "model": "fake:first",
        "temperature": 0,
        "strictness": "free",
        "question": "Well?",
        "max_output_tokens": 50,
    }
    return ChatRequest(**(usual | fields))


async def events(*speakers: Speaker, asked: ChatRequest | None = None) -> list[Event]:
    return [event async for event in answer(asked or request(), speakers=speakers, budget=None)]


def text_of(given: list[Event]) -> str:
    return "".join(event.text for event in given if isinstance(event, DeltaEvent))


async def test_the_next_model_answers_where_the_first_fails_before_a_word() -> None:
    second = model("second", ["Hello", Piece(finish_reason="stop")])
    given = await events(speaker(model("first", [DOWN])), speaker(second))
    assert text_of(given) == "Hello"
    [usage] = [event for event in given if isinstance(event, UsageEvent)]
    assert (usage.provider, usage.model) == ("fake", "second")
    assert isinstance(given[-1], DoneEvent)


@pytest.mark.parametrize("kind", ["rejected", "unauthorised", "rate_limited", "timeout", "garbage", "incomplete"])
async def test_whatever_the_failure_was(kind: Any) -> None:
    assert (
        text_of(await events(speaker(model("first", [UpstreamError(kind, "first")])), speaker(model("second"))))
        == "Hello"
    )


async def test_an_answer_without_a_word_is_a_failure_too() -> None:
    assert text_of(await events(speaker(model("first", [STOP])), speaker(model("second")))) == "Hello"


async def test_after_the_first_word_nobody_takes_over() -> None:
    second = model("second")
    with pytest.raises(UpstreamError) as raised:
        await events(speaker(model("first", ["Half", DOWN])), speaker(second))
    assert (raised.value.upstream, second.opened) == ("first", 0)


async def test_nor_after_a_word_that_is_held_back() -> None:
    second = model("second")
    with pytest.raises(UpstreamError):
        await events(
            speaker(model("first", ["NOT", DOWN])),
            speaker(second),
            asked=request(passages=PASSAGES, strictness="strict"),
        )
    assert second.opened == 0


async def test_a_model_with_another_behind_it_is_not_tried_twice() -> None:
    first, second = model("first", [DOWN]), model("second", [DOWN], [DOWN], ["At last", STOP])
    with pytest.raises(UpstreamError):
        await events(speaker(first), speaker(second))
    assert (first.opened, second.opened) == (1, 2)


async def test_three_calls_are_all_that_a_question_gets() -> None:
    chain = [model(name, [DOWN]) for name in ("first", "second", "third")]
    with pytest.raises(UpstreamError) as raised:
        await events(*map(speaker, chain))
    assert [chat.opened for chat in chain] == [1, 1, 1]
    assert raised.value.kind == "unavailable"


async def test_a_model_that_is_left_alone_costs_no_try() -> None:
    first, second = speaker(model("first", [DOWN]), breaker_failures=1, breaker_seconds=60), model("second", [DOWN])
    await events(first, speaker(model("other")))
    with pytest.raises(UpstreamError):
        await events(first, speaker(second))
    assert second.opened == 3


async def test_the_deadline_is_of_the_whole_chain() -> None:
    limits = Limits(total=2.0, retries=2, first=1.8)
    started = time.monotonic()
    with pytest.raises(UpstreamError) as raised:
        await events(*(speaker(model(name, [30.0]), limits) for name in ("first", "second", "third")))
    assert raised.value.kind == "timeout"
    assert 1.9 < time.monotonic() - started < 3.3


async def test_a_model_that_cannot_read_as_much_is_passed_over() -> None:
    small, large = model("first"), model("second", ["Read", STOP])
    small.context_tokens = 100
    assert text_of(await events(speaker(small), speaker(large), asked=request(question="x" * 2_000))) == "Read"
    with pytest.raises(PromptTooLong):
        await events(speaker(small), asked=request(question="x" * 2_000))


async def test_images_go_to_those_that_see() -> None:
    blind, seeing = model("first"), model("second", ["A cat", STOP])
    shown = request(images=[Image(media_type="image/png", data=PNG)])
    assert text_of(await events(speaker(blind), speaker(seeing, sees=True), asked=shown)) == "A cat"
    assert (blind.opened, len(seeing.prompts[0].images)) == (0, 1)
    with pytest.raises(ImageUnsupported):
        await events(speaker(blind), asked=shown)


@pytest.mark.parametrize(
    ("media_type", "data"),
    [("image/jpeg", PNG), ("image/png", "not base64 at all!"), ("image/webp", base64.b64encode(b"RIFF" * 9).decode())],
    ids=["another format", "no base64", "half a format"],
)
async def test_an_image_that_is_none_is_refused(media_type: Any, data: str) -> None:
    seeing = model("first")
    with pytest.raises(ImageInvalid):
        await events(speaker(seeing, sees=True), asked=request(images=[Image(media_type=media_type, data=data)]))
    assert seeing.opened == 0


async def test_many_large_images_are_refused() -> None:
    image = Image(media_type="image/png", data=base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(4 * 2**20)).decode())
    with pytest.raises(ImageTooLarge) as raised:
        await events(speaker(model("first"), sees=True), asked=request(images=[image] * 3))
    assert raised.value.details["image"] == 3


async def test_a_slow_vendor_has_only_so_many_places_and_the_next_model_answers() -> None:
    slow = speaker(model("first", ["word", 30.0]), concurrency=2)
    async with _Begun(slow), _Begun(slow):
        assert text_of(await events(slow, speaker(model("second")))) == "Hello"
        with pytest.raises(UpstreamError) as raised:
            await events(slow)
    assert (raised.value.kind, raised.value.code, raised.value.retry_after) == ("full", "upstream_busy", 1)
    assert not slow.upstream.breaker.is_open
    async with _Begun(slow):
        pass


class _Begun:
    """An answer that has had its first word and is not read on."""

    def __init__(self, one: Speaker) -> None:
        self._events = answer(request(), speakers=[one], budget=None)

    async def __aenter__(self) -> None:
        await anext(self._events)

    async def __aexit__(self, *_: object) -> None:
        await self._events.aclose()


async def test_calls_that_are_no_streams_have_places_too() -> None:
    upstream = Upstream("store", Policy(concurrency=1))
    begun, end = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        await end.wait()
        return "done"

    first = asyncio.create_task(upstream.call(slow, Limits(5)))
    await begun.wait()
    with pytest.raises(UpstreamError, match="as many calls"):
        await upstream.call(slow, Limits(5, retries=2))
    end.set()
    assert await first == "done"
    assert await upstream.call(slow, Limits(5)) == "done"


async def test_a_place_is_given_back_when_a_stream_is_left() -> None:
    upstream = Upstream("vendor", Policy(concurrency=1))
    for _ in range(3):
        async with aclosing(upstream.stream(_words, Limits(5))) as stream:
            await anext(stream)


async def _words() -> AsyncIterator[str]:
    while True:
        yield "word"
