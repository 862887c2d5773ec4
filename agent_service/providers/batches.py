"""Many items, sent a batch at a time with a few on their way."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def few_at_a_time(
    work: Callable[[Sequence[T]], Awaitable[R]], items: Sequence[T], *, size: int, limit: int
) -> list[R]:
    """The results of the batches in their order. The first failure ends the other batches and is raised."""
    gate = asyncio.Semaphore(limit)

    async def one(batch: Sequence[T]) -> R:
        async with gate:
            return await work(batch)

    batches = [items[start : start + size] for start in range(0, len(items), size)]
    tasks = [asyncio.ensure_future(one(batch)) for batch in batches]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
