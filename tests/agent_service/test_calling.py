import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from agent_service.errors import Kind, UpstreamError
from agent_service.pipeline.agents.registry import FOLDER, read_agents
from agent_service.pipeline.calling import Breaker, Limits, Policy, RetryBudget, Upstream, close_stream
from agent_service.pipeline.service import Service
from agent_service.settings import Settings
from tests.agent_service.doubles import ScriptedEmbedder, catalogue_of, says

SWIFT = Policy(retry_delay=0.001)


class Flaky:
    """Fails as told, then answers."""

    def __init__(self, *failures: UpstreamError) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def fault(kind: Kind = "unavailable", retry_after: float | None = None) -> UpstreamError:
    return UpstreamError(kind, "vendor", retry_after=retry_after)


async def test_passing_faults_are_tried_again_as_often_as_allowed() -> None:
    vendor = Flaky(fault(), fault("timeout"))
    assert await Upstream("vendor", SWIFT).call(vendor, Limits(5, retries=2)) == "answer"
    assert vendor.calls == 3


async def test_and_not_more_often() -> None:
    vendor = Flaky(*[fault()] * 9)
    with pytest.raises(UpstreamError):
        await Upstream("vendor", SWIFT).call(vendor, Limits(5, retries=2))
    assert vendor.calls == 3


class Busy:
    """Takes its time, and remembers how many have asked for it together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = self.most = 0

    async def __call__(self) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        return "answer"


async def test_a_call_that_waits_in_line_has_its_whole_time_afterwards() -> None:
    store, upstream = Busy(0.2), Upstream("store", Policy(at_once=2))
    assert await asyncio.gather(*(upstream.call(store, Limits(0.7)) for _ in range(8))) == ["answer"] * 8
    assert store.most == 2


async def test_a_line_that_is_too_long_says_nothing_about_the_store() -> None:
    store, upstream = Busy(0.3), Upstream("store", Policy(at_once=1, breaker_failures=2))
    waited = [upstream.call(store, Limits(0.4)) for _ in range(6)]
    ended = await asyncio.gather(*waited, return_exceptions=True)
    assert [getattr(one, "kind", one) for one in ended] == ["answer", "answer", *["full"] * 4]
    assert not upstream.breaker.is_open
    assert await upstream.call(store, Limits(0.4)) == "answer"


async def test_one_that_leaves_the_line_leaves_its_place() -> None:
    store, upstream = Busy(0.05), Upstream("store", Policy(at_once=1))
    calls = [asyncio.create_task(upstream.call(store, Limits(1))) for _ in range(4)]
    await asyncio.sleep(0.01)
    for left in calls[:3]:
        left.cancel()
    assert await calls[3] == "answer"
    assert await upstream.call(store, Limits(1)) == "answer"


@pytest.mark.parametrize("kind", ["rejected", "unauthorised"])
async def test_what_cannot_get_better_is_not_tried_again(kind: Kind) -> None:
    vendor = Flaky(fault(kind))
    with pytest.raises(UpstreamError):
        await Upstream("vendor", SWIFT).call(vendor, Limits(5, retries=2))
    assert vendor.calls == 1


async def test_a_vendor_is_given_the_time_it_asks_for() -> None:
    vendor = Flaky(fault("rate_limited", retry_after=0.2))
    started = time.monotonic()
    await Upstream("vendor", SWIFT).call(vendor, Limits(5, retries=2))
    assert time.monotonic() - started >= 0.2


async def test_unless_that_is_longer_than_there_is_time() -> None:
    vendor = Flaky(fault("rate_limited", retry_after=6))
    started = time.monotonic()
    with pytest.raises(UpstreamError):
        await Upstream("vendor", SWIFT).call(vendor, Limits(5, retries=2))
    assert vendor.calls == 1
    assert time.monotonic() - started < 0.1


async def test_the_deadline_is_of_all_tries_together() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.15)
        raise fault()

    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        await Upstream("vendor", SWIFT).call(slow, Limits(0.4, retries=100))
    assert caught.value.kind == "timeout"
    assert 0.3 < time.monotonic() - started < 0.6


async def test_retries_stay_within_their_budget_while_an_upstream_is_down() -> None:
    calls = 0

    async def down() -> str:
        nonlocal calls
        calls += 1
        raise fault("rate_limited")

    upstream = Upstream("vendor", SWIFT)
    for _ in range(50):
        with pytest.raises(UpstreamError):
            await upstream.call(down, Limits(5, retries=2))
    burst, calls = calls, 0
    for _ in range(200):
        with pytest.raises(UpstreamError):
            await upstream.call(down, Limits(5, retries=2))
    assert burst <= 50 + 10 + 5
    assert calls <= 200 * 1.1 + 1


def test_a_budget_grows_back_up_to_its_burst() -> None:
    budget = RetryBudget(0.1, 2)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    for _ in range(11):
        budget.earn()
    assert [budget.spend() for _ in range(2)] == [True, False]
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: Breaker, kind: Kind = "unavailable") -> None:
    with pytest.raises(UpstreamError), breaker.passing():
        raise fault(kind)


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_call_try() -> None:
    clock = Clock()
    breaker = Breaker(3, 5.0, clock)
    for _ in range(3):
        assert breaker.rest() == 0
        fail(breaker)
    assert breaker.rest() == 5.0
    clock.now += 5
    assert breaker.rest() == 0
    with breaker.passing():
        assert breaker.rest() > 0
    assert (breaker.rest(), breaker.is_open) == (0, False)


def test_a_failing_probe_opens_it_again() -> None:
    clock = Clock()
    breaker = Breaker(1, 5.0, clock)
    fail(breaker)
    clock.now += 6
    fail(breaker)
    assert breaker.rest() == 5.0


def test_a_probe_given_up_by_its_caller_leaves_room_for_the_next() -> None:
    clock = Clock()
    breaker = Breaker(1, 5.0, clock)
    fail(breaker)
    clock.now += 6
    with pytest.raises(asyncio.CancelledError), breaker.passing():
        raise asyncio.CancelledError
    assert breaker.rest() == 0
    assert breaker.is_open


@pytest.mark.parametrize("kind", ["rejected", "unauthorised", "rate_limited"])
def test_an_upstream_that_answers_is_not_a_broken_one(kind: Kind) -> None:
    breaker = Breaker(2, 5.0)
    for _ in range(10):
        fail(breaker, kind)
    assert not breaker.is_open


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(2, 5.0)
    fail(breaker)
    with breaker.passing():
        pass
    fail(breaker)
    assert not breaker.is_open


async def test_an_open_breaker_says_when_to_come_back() -> None:
    upstream = Upstream("vendor", Policy(retry_delay=0.001, breaker_failures=1, breaker_seconds=30))
    vendor = Flaky(fault(), fault())
    with pytest.raises(UpstreamError):
        await upstream.call(vendor, Limits(5))
    with pytest.raises(UpstreamError) as caught:
        await upstream.call(vendor, Limits(5, retries=2))
    assert caught.value.kind == "open"
    assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert vendor.calls == 1


async def pieces(*steps: str | float | UpstreamError) -> AsyncIterator[str]:
    for step in steps:
        if isinstance(step, UpstreamError):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            yield step


async def read(upstream: Upstream, scripts: list[AsyncIterator[str]], limits: Limits) -> list[str]:
    async with aclosing(upstream.stream(lambda: scripts.pop(0), limits)) as stream:
        return [piece async for piece in stream]


async def test_a_stream_may_take_long_as_long_as_it_moves() -> None:
    steady = pieces("a", 0.1, "b", 0.1, "c", 0.1, "d")
    assert await read(Upstream("vendor", SWIFT), [steady], Limits(5, first=0.2, idle=0.2)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("script", "limits", "seconds"),
    [
        ((9.0,), Limits(5, first=0.2, idle=2), 0.2),
        (("a", 9.0), Limits(5, first=2, idle=0.2), 0.2),
        (("a", *[0.1, "b"] * 50), Limits(0.5, first=0.5, idle=0.3), 0.5),
        (("a", 9.0), Limits(0.3), 0.3),
    ],
    ids=["first", "idle", "total", "no limits but the total"],
)
async def test_each_limit_of_a_stream_holds(script: tuple[str | float, ...], limits: Limits, seconds: float) -> None:
    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        await read(Upstream("vendor", SWIFT), [pieces(*script)], limits)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started == pytest.approx(seconds, abs=0.25)


async def test_a_readers_own_pauses_are_not_the_upstreams() -> None:
    read_so_far = []
    async with aclosing(Upstream("vendor", SWIFT).stream(lambda: pieces("a", "b"), Limits(5, idle=0.1))) as stream:
        async for piece in stream:
            read_so_far.append(piece)
            await asyncio.sleep(0.2)
    assert read_so_far == ["a", "b"]


async def test_a_stream_is_tried_again_only_before_its_first_piece() -> None:
    upstream = Upstream("vendor", SWIFT)
    assert await read(upstream, [pieces(fault()), pieces("a")], Limits(5, retries=1)) == ["a"]
    scripts = [pieces("a", fault()), pieces("b")]
    with pytest.raises(UpstreamError):
        await read(upstream, scripts, Limits(5, retries=1))
    assert len(scripts) == 1


async def test_a_stream_that_will_not_close_is_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stubborn() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            await asyncio.sleep(30)

    monkeypatch.setattr("agent_service.pipeline.calling.CLOSE_SECONDS", 0.1)
    stream = stubborn()
    await anext(stream)
    await close_stream(stream)
    assert "took more than 0.1 s to close" in caplog.text


async def test_a_stream_without_an_end_of_its_own_needs_no_closing() -> None:
    class Plain:
        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> str:
            raise StopAsyncIteration

    assert await read(Upstream("vendor", SWIFT), [Plain()], Limits(5)) == []


async def test_no_more_calls_reach_the_stores_than_they_have_connections(agent_settings: Settings) -> None:
    settings = agent_settings.model_copy(update={"vector_pool_size": 2})
    async with catalogue_of(says(), ScriptedEmbedder())(settings) as catalogue:
        shelf = Service(settings, catalogue, read_agents(FOLDER)).shelf()
        assert shelf.lexical is not None
        for upstream in (shelf.upstream, shelf.lexical.upstream):
            store = Busy(0.01)
            await asyncio.gather(*(upstream.call(store, Limits(5)) for _ in range(6)))
            assert store.most == 2
