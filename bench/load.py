"""A load of streamed requests and what it measures. Times are milliseconds."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.wire import Refused


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one streamed answer: until its first token, and until its end."""

    first: float
    whole: float


@dataclass(frozen=True, slots=True)
class Load:
    samples: list[Sample]
    seconds: float
    failed: int = 0

    @property
    def per_second(self) -> float:
        return len(self.samples) / self.seconds

    def first(self, percent: int) -> float:
        return percentile([sample.first for sample in self.samples], percent)

    def whole(self, percent: int) -> float:
        return percentile([sample.whole for sample in self.samples], percent)


def percentile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def run(request: Callable[[int], Awaitable[Sample]], *, count: int, at_once: int) -> Load:
    """`count` requests, `at_once` of them under way; `request` gets the number of its lane. Raises Refused where more
    than a tenth were; fewer are counted."""
    left = iter(range(count))
    samples: list[Sample] = []
    failures: list[Refused] = []

    async def lane(number: int) -> None:
        for _ in left:
            try:
                samples.append(await request(number))
            except Refused as failure:
                failures.append(failure)

    started = time.perf_counter()
    await asyncio.gather(*(lane(number) for number in range(at_once)))
    seconds = time.perf_counter() - started
    if len(failures) > count // 10:
        raise failures[0]
    return Load(samples, seconds, len(failures))
