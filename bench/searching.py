"""Retrieval alone: the agent's `/retrieve`, and the search of the product around it, which looks whose bot it is and
reads the passages."""

import json
import time
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import aiohttp

from bench import load
from bench.load import Sample
from bench.product import QUESTION, Product
from bench.wire import Refused
from tests.agent_service.calls import sign

LIMIT = 8
COUNTS = {1: 200, 32: 960}
"""Searches, by how many at once."""

Post = tuple[str, bytes, dict[str, str]]


async def measure(target: Product) -> None:
    print(f"\n{'retrieval alone':<24}{'at once':>8}{'p50 / p95 ms':>18}{'searches/s':>12}")
    kinds = {"the agent's /retrieve": _of_the_agent(target), "the product's search": _of_the_product(target)}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=max(COUNTS))) as http:
        for at_once, count in COUNTS.items():
            for name, post in kinds.items():
                measured = await load.run(_asker(http, post), count=count, at_once=at_once)
                times = f"{measured.whole(50):>10.1f} /{measured.whole(95):>6.1f}"
                print(f"{name:<24}{at_once:>8}{times}{measured.per_second:>12.1f}", flush=True)


def _asker(http: aiohttp.ClientSession, post: Callable[[], Post]) -> Callable[[int], Awaitable[Sample]]:
    async def ask(_lane: int) -> Sample:
        url, body, headers = post()
        started = time.perf_counter()
        async with http.post(url, data=body, headers=headers | {"Content-Type": "application/json"}) as response:
            content = await response.read()
        taken = (time.perf_counter() - started) * 1000
        if response.status != 200 or not _found(content):
            raise Refused(repr(content[:500]))
        return Sample(taken, taken)

    return ask


def _found(content: bytes) -> int:
    told = json.loads(content)
    return len(told.get("hits") or told.get("passages") or ())


def _of_the_agent(target: Product) -> Callable[[], Post]:
    embedding = target.person.get(f"bots/{target.bot}/index/")["embedding"]
    body = json.dumps({"embedding": embedding, "query": QUESTION, "limit": LIMIT}).encode()
    bot, user, key = UUID(target.bot), uuid4(), target.stack.environment["SERVICE_KEY"]
    scope = {"bot": str(bot), "user": str(user), "namespace": f"bot-{bot.hex}"}

    def post() -> Post:
        token = sign("POST", "/retrieve", body, key=key, **scope)
        return f"{target.stack.agent_url}/retrieve", body, {"X-Service-Token": token}

    return post


def _of_the_product(target: Product) -> Callable[[], Post]:
    body = json.dumps({"query": QUESTION, "limit": LIMIT}).encode()
    headers = {"Authorization": target.person.http.headers["Authorization"]}
    return lambda: (f"{target.stack.url}/api/v1/bots/{target.bot}/search/", body, headers)
