"""What a store does for itself from time to time, such as building what makes large searches fast."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agent_service.errors import AgentServiceError
from agent_service.ports import Tended, VectorStore

log = logging.getLogger(__name__)


@asynccontextmanager
async def tended(store: VectorStore, seconds: float) -> AsyncIterator[None]:
    """For as long as it is open; what is being built at the end is broken off. Every process does so: the store knows
    that one of them is enough.
    """
    if not isinstance(store, Tended):
        yield
        return
    task = asyncio.create_task(_tend(store, seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _tend(store: Tended, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await store.maintain()
        except AgentServiceError as error:
            log.warning("The store was not tended: %s (%s)", error.message, error.__cause__ or "no further cause")
