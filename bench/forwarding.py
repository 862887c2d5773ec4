"""How long a token is on its way from the model to the reader, many streams at once, beside a direct call."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping

from bench.load import percentile
from bench.product import QUESTION, Product, control
from bench.wire import Lines

STREAMS = 32
ROUTE = "streamGenerateContent"
PACE = 0.25
"""Seconds between the tokens of one stream."""
_SAID = re.compile(rb"\d+\.\d{6}(?!\d)")

Stream = Callable[[int], Awaitable[list[float]]]


async def measure(target: Product, prompt: dict[str, object]) -> None:
    """`prompt` as the model gets it, for the direct call."""
    bot = target.person.make_bot("Clock", strictness="free")
    conversations = [await asyncio.to_thread(target.person.converse, bot) for _ in range(STREAMS)]
    headers = {"Authorization": target.person.http.headers["Authorization"], "Accept": "text/event-stream"}
    ours, direct = Lines(target.stack.url), Lines(target.gemini)

    def through_the_product(lane: int) -> Awaitable[list[float]]:
        return _delays(ours, f"/api/v1/conversations/{conversations[lane]}/messages/", {"text": QUESTION}, headers)

    def directly(_lane: int) -> Awaitable[list[float]]:
        path = f"/v1beta/models/gemini-2.5-flash:{ROUTE}?alt=sse"
        return _delays(direct, path, prompt, {"x-goog-api-key": "bench"})

    control(target, {"latency": [{"route": ROUTE, "piece": PACE}]})
    print(f"\na token on its way, {STREAMS} streams, one of each every {PACE:g} s:", end="")
    kinds: dict[str, Stream] = {"direct": directly, "product": through_the_product}
    for name, stream in kinds.items():
        control(target, {"faults": [{"route": ROUTE, "kind": "clock", "times": STREAMS}]})
        delays = [
            delay
            for each in await asyncio.gather(*(_staggered(stream, lane) for lane in range(STREAMS)))
            for delay in each
        ]
        print(f" {name} {percentile(delays, 50):.1f} / {percentile(delays, 95):.1f} ms", end="")
    print(" (p50 / p95)")
    control(target, {"latency": [{"route": ROUTE, "piece": 0.0}]})
    ours.close()
    direct.close()


async def _staggered(stream: Stream, lane: int) -> list[float]:
    """No two streams begin together: their tokens would come together ever after."""
    await asyncio.sleep(lane * (1 + 1 / STREAMS) * PACE)
    return await stream(lane)


async def _delays(lines: Lines, path: str, body: Mapping[str, object], headers: Mapping[str, str]) -> list[float]:
    """Milliseconds of each token. It is read once, however often the stream repeats it at its end."""
    seen: dict[bytes, float] = {}
    async with lines.post(path, body, headers) as blocks:
        async for block in blocks:
            now = time.monotonic()
            for said in _SAID.findall(block):
                seen.setdefault(said, (now - float(said)) * 1000)
    return list(seen.values())
