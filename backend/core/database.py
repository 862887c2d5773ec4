"""Work in the database from asynchronous code, and its clock."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection, transaction

Result = TypeVar("Result")
Database = Callable[..., Awaitable[Any]]
"""`in_database` or `in_this_thread`."""


async def in_database(work: Callable[..., Result], **arguments: Any) -> Result:
    """Run `work` in a thread and give its connection back at once: a turn that waits for a model holds none."""

    def worked() -> Result:
        try:
            return work(**arguments)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    # Not `sync_to_async`, which takes as long as a short statement: nothing in `work` calls asynchronous code back.
    return await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, worked)


async def in_this_thread(work: Callable[..., Result], **arguments: Any) -> Result:
    """The same in the thread that waits for the asynchronous code, on its connection."""

    def worked() -> Result:
        try:
            return work(**arguments)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    return await sync_to_async(worked, thread_sensitive=True)()


def alone() -> AbstractContextManager[Any]:
    """Around one statement, which is a transaction of its own; within another's, what it refuses spoils no more."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def database_now() -> datetime:
    """The database's clock, which leases and times of rows are set by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
