"""Real worker processes on the test's database, to be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).resolve().parents[3]

FAST = {
    "INGEST_LEASE_SECONDS": "2",
    "INGEST_HEARTBEAT_SECONDS": "0.4",
    "INGEST_RETRY_DELAY_SECONDS": "0.2",
    "SWEEP_SECONDS": "1",
    "EMBED_BATCH": "5",
    "SHUTDOWN_GRACE_SECONDS": "5",
}


class Worker:
    def __init__(self, **environment: str) -> None:
        self._environment = {
            **os.environ,
            "DATABASE_URL": make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"]),
            "DATA_DIR": str(settings.DATA_DIR),
            "STORAGE_DIR": str(settings.STORAGE_DIR),
            "AGENT_URL": settings.AGENT_URL,
            "DATABASE_POOL_SIZE": "12",
            **FAST,
            **environment,
        }
        self.log = Path(settings.DATA_DIR) / "worker.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run_worker"], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As the kernel does when memory is short: no last word."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def workers(count: int, **environment: str) -> Iterator[list[Worker]]:
    running = [Worker(**environment) for _ in range(count)]
    try:
        yield running
    finally:
        for worker in running:
            worker.kill()


def cut_all_connections() -> None:
    """As a restart of the database does. Our own pool is mended at once: left to itself it waits ever longer after each
    broken connection that it finds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.pool.check()  # type: ignore[attr-defined]  # the stubs know the base class only


def eventually(holds: Callable[[], Any], *, seconds: float) -> Any:
    """What `holds` returns once it is true; the last it returned when the time is up."""
    deadline = time.monotonic() + seconds
    while not (outcome := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return outcome
