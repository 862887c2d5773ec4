import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from procrastinate import App
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector

from backend.bots import indexes
from backend.documents.claims import draining
from backend.documents.lanes import SYNC, lanes

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # a job that was scheduled for later has no notification


class Command(BaseCommand):
    help = "Run background jobs until SIGTERM or SIGINT. When the database goes away it fails: start it again."
    requires_system_checks = ()  # `migrate` made them; here they would import every view

    def handle(self, *_args: Any, **_options: Any) -> None:
        if not asyncio.run(_work()):
            raise CommandError("The worker lost its database.")


async def _work() -> bool:
    """Whether it ended because it was asked to."""
    assert isinstance(app.connector, DjangoConnector)  # noqa: S101 - tells the type checker what Django's app is
    # A second app for the worker's own connections: jobs that enqueue jobs stay on Django's connection, and so in their
    # own transaction.
    worker_app = app.with_connector(app.connector.get_worker_connector())
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(sum(at_once for _, at_once in lanes()), "job"))
    async with worker_app.open_async():
        running = [asyncio.create_task(_lane(worker_app, *lane)) for lane in lanes()]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, running)
        logger.info("The worker is running, %s documents at a time.", settings.WORKER_CONCURRENCY)
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if not draining.is_set():
            _stop(running)
            await asyncio.wait(running)
            for lane in running:
                if not lane.cancelled() and (error := lane.exception()):
                    logger.error("The worker stopped: %s", error)
            return False
        await asyncio.wait(running)
    return True


async def _lane(worker_app: App, queues: list[str], at_once: int) -> None:
    await worker_app.run_worker_async(
        queues=queues,
        concurrency=at_once,
        fetch_job_polling_interval=POLL_SECONDS,
        # Each listener is a connection of its own; what takes long may begin a poll later.
        listen_notify=not {SYNC, indexes.BUILD} & {*queues},
        shutdown_graceful_timeout=settings.SHUTDOWN_GRACE.total_seconds(),
        delete_jobs="always",
        install_signal_handlers=False,
    )


def _stop(lanes: "list[asyncio.Task[None]]") -> None:
    """Documents under way are handed back at the next opportunity; other jobs are finished."""
    draining.set()
    for lane in lanes:
        lane.cancel()
