import asyncio
import logging
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector

from backend.documents.claims import draining

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # a job that was scheduled for later has no notification


class Command(BaseCommand):
    help = "Run background jobs until SIGTERM or SIGINT. When the database goes away it fails: start it again."

    def handle(self, *_args: Any, **_options: Any) -> None:
        if not asyncio.run(_work()):
            raise CommandError("The worker lost its database.")


async def _work() -> bool:
    """Whether it ended because it was asked to."""
    assert isinstance(app.connector, DjangoConnector)  # noqa: S101 - tells the type checker what Django's app is
    # A second app for the worker's own connections: jobs that enqueue jobs stay on Django's connection, and so in their
    # own transaction.
    worker_app = app.with_connector(app.connector.get_worker_connector())
    async with worker_app.open_async():
        running = asyncio.create_task(
            worker_app.run_worker_async(
                concurrency=settings.WORKER_CONCURRENCY,
                fetch_job_polling_interval=POLL_SECONDS,
                shutdown_graceful_timeout=settings.SHUTDOWN_GRACE.total_seconds(),
                delete_jobs="always",
                install_signal_handlers=False,
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, running)
        logger.info("The worker is running, %s jobs at a time.", settings.WORKER_CONCURRENCY)
        try:
            await running
        except asyncio.CancelledError:
            return True
    return False


def _stop(running: "asyncio.Task[None]") -> None:
    """Documents under way are handed back at the next opportunity; other jobs are finished."""
    draining.set()
    running.cancel()
