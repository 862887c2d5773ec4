"""Calling an upstream: deadlines of the whole call, few retries, a budget for them, a circuit breaker, and a limit to
the calls that it may have at once.

The only layer that retries; the vendors' SDKs have their own retries turned off.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from agent_service.errors import UpstreamError

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_SECONDS = 3.0
MAX_DELAY_SECONDS = 8.0
FULL_SECONDS = 1.0
"""What a call is told to wait that found no place."""

NOT_ASKED = ("open", "full")
"""Kinds of failure in which the upstream was not called."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `first` is from the start to the first piece and `idle` between pieces, for streams; `total` covers
    all tries.
    """

    total: float
    retries: int = 0
    first: float | None = None
    idle: float | None = None

    def within(self, seconds: float, retries: int) -> "Limits":
        """The same with no more time and no more tries than these."""
        first = None if self.first is None else min(self.first, seconds)
        return Limits(min(self.total, seconds), min(self.retries, retries), first, self.idle)


@dataclass(frozen=True, slots=True)
class Policy:
    """How an upstream is treated that fails: shared by all calls to it. `at_once` is how many it works on at a time;
    further ones wait in line, which says nothing about the upstream.
    """

    retry_delay: float = 0.5
    budget_ratio: float = 0.1
    budget_burst: int = 10
    breaker_failures: int = 5
    breaker_seconds: float = 5.0
    concurrency: int = 256
    at_once: int | None = None


class RetryBudget:
    """Every call earns a tenth of a retry, up to a small burst: an upstream that is down sees hardly more calls than
    one that is up.
    """

    def __init__(self, ratio: float, burst: int) -> None:
        self._ratio = ratio
        self._burst = float(burst)
        self._saved = float(burst)

    def earn(self) -> None:
        self._saved = min(self._burst, self._saved + self._ratio)

    def spend(self) -> bool:
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


class Breaker:
    """Opens after so many failures in a row; when its rest is over it lets one call through, whose end decides."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    def rest(self) -> float:
        """Seconds until a call may pass, 0 if it may now."""
        if self._opened_at is None:
            return 0.0
        left = self._opened_at + self._seconds - self._clock()
        if left <= 0 and self._probing:
            return self._seconds
        return max(0.0, left)

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    @contextmanager
    def passing(self) -> Iterator[None]:
        """For one call that may pass. A call that is given up by its caller says nothing about the upstream."""
        probe = self.is_open
        self._probing = self._probing or probe
        try:
            yield
        except UpstreamError as error:
            self._count(error)
            raise
        else:
            self.close()
        finally:
            if probe:
                self._probing = False

    def close(self) -> None:
        self._failures = 0
        self._opened_at = None

    def _count(self, error: UpstreamError) -> None:
        if error.kind in ("rejected", "unauthorised", "rate_limited"):
            # It answers; the request, the key or the pace is at fault, and others may pass.
            self.close()
            return
        self._failures += 1
        if self.is_open or self._failures >= self._allowed:
            self._opened_at = self._clock()


class Upstream:
    """One vendor's model, or one store, as seen by every call to it."""

    def __init__(self, name: str, policy: Policy) -> None:
        self.name = name
        self.breaker = Breaker(policy.breaker_failures, policy.breaker_seconds)
        self._budget = RetryBudget(policy.budget_ratio, policy.budget_burst)
        self._delay = policy.retry_delay
        self._places = policy.concurrency
        self._line = asyncio.Semaphore(policy.at_once) if policy.at_once else None

    async def call(self, attempt: Callable[[], Awaitable[T]], limits: Limits) -> T:
        if self._line is None:
            return await self._called(attempt, limits)
        await self._wait_in_line(self._line, limits.total)
        try:
            return await self._called(attempt, limits)
        finally:
            self._line.release()

    async def _wait_in_line(self, line: asyncio.Semaphore, seconds: float) -> None:
        """As long at most as a call may take, whose own time begins afterwards."""
        try:
            async with asyncio.timeout(seconds):
                await line.acquire()
        except TimeoutError as error:
            raise UpstreamError("full", self.name, retry_after=FULL_SECONDS) from error

    async def _called(self, attempt: Callable[[], Awaitable[T]], limits: Limits) -> T:
        deadline = _now() + limits.total
        self._budget.earn()
        for tried in range(limits.retries + 1):
            try:
                with self._passing():
                    return await self._within(attempt(), deadline)
            except UpstreamError as error:
                await self._wait_to_retry(error, tried, limits, deadline)
        raise AssertionError("the last try returns or raises")

    async def stream(self, attempt: Callable[[], AsyncIterator[T]], limits: Limits) -> AsyncGenerator[T, None]:
        """The pieces of the first try that gives one. After its first piece nothing is tried again."""
        deadline = _now() + limits.total
        first_deadline = min(deadline, _now() + (limits.first or limits.total))
        self._budget.earn()
        for tried in range(limits.retries + 1):
            given = False
            try:
                with self._passing():
                    async with aclosing(self._pieces(attempt(), first_deadline, deadline, limits.idle)) as pieces:
                        async for piece in pieces:
                            if not given:
                                given = True
                                self.breaker.close()
                            yield piece
                    return
            except UpstreamError as error:
                if given:
                    raise
                await self._wait_to_retry(error, tried, limits, first_deadline)

    @contextmanager
    def _passing(self) -> Iterator[None]:
        rest = self.breaker.rest()
        if rest > 0:
            raise UpstreamError("open", self.name, retry_after=rest)
        if not self._places:
            raise UpstreamError("full", self.name, retry_after=FULL_SECONDS)
        self._places -= 1
        try:
            with self.breaker.passing():
                yield
        finally:
            self._places += 1

    async def _pieces(
        self, pieces: AsyncIterator[T], first_deadline: float, deadline: float, idle: float | None
    ) -> AsyncGenerator[T, None]:
        until = first_deadline
        try:
            while True:
                try:
                    piece = await self._within(anext(pieces), until)
                except StopAsyncIteration:
                    return
                yield piece
                until = min(deadline, _now() + idle) if idle else deadline
        finally:
            await close_stream(pieces)

    async def _within(self, work: Awaitable[T], deadline: float) -> T:
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError as error:
            raise UpstreamError("timeout", self.name) from error

    async def _wait_to_retry(self, error: UpstreamError, tried: int, limits: Limits, deadline: float) -> None:
        """Raises the error again where another try is not allowed, not affordable, or would come too late."""
        if not error.retryable or error.kind in NOT_ASKED or tried >= limits.retries:
            raise error
        delay = error.retry_after if error.retry_after is not None else self._backoff(tried)
        if _now() + delay >= deadline or not self._budget.spend():
            raise error
        log.info("%s: %s, trying again in %.2f s", self.name, error.kind, delay)
        await asyncio.sleep(delay)

    def _backoff(self, tried: int) -> float:
        return random.uniform(0.5, 1.0) * min(MAX_DELAY_SECONDS, self._delay * (1 << tried))  # noqa: S311 - jitter


def _now() -> float:
    return asyncio.get_running_loop().time()


async def close_stream(pieces: AsyncIterator[T]) -> None:
    """Ends the vendor's generator, and with it its connection, also while this task is being cancelled."""
    close = getattr(pieces, "aclose", None)
    if close is None:
        return
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await close()
    except TimeoutError:
        log.warning("An upstream's stream took more than %s s to close", CLOSE_SECONDS)
