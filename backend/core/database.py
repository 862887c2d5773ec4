"""Work in the database from asynchronous code."""

from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

Result = TypeVar("Result")


async def in_database(work: Callable[..., Result], **arguments: Any) -> Result:
    """Run `work` in a thread and give its connection back at once: a turn that waits for a model holds none."""

    def worked() -> Result:
        try:
            return work(**arguments)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    return await sync_to_async(worked, thread_sensitive=False)()
