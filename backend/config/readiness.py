"""What must be in order before an answer can be given and paid, each part named."""

import time
from collections.abc import Callable

from asgiref.sync import async_to_sync
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from procrastinate.contrib.django.models import ProcrastinateWorker

from backend import agent_client
from backend.agent_client import AgentError
from backend.credits.audit import find_differences

OK = "ok"
WORKER_SILENT_SECONDS = 60
LEDGER_FRESH_SECONDS = 60.0


def checks() -> dict[str, str]:
    """Each part's name and "ok" or what is wrong with it; a check never raises."""
    database = _database()
    if database != OK:
        return {"database": database}
    return {"database": database, "agent": _agent(), "worker": _worker(), "ledger": ledger()}


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "does not answer"
    return f"{len(missing)} migrations are not applied" if missing else OK


def _agent() -> str:
    try:
        ready = async_to_sync(_ask_agent)()
    except AgentError as exc:
        return exc.code
    return OK if not ready else ", ".join(f"{name}: {state}" for name, state in sorted(ready.items()))


async def _ask_agent() -> dict[str, str]:
    async with agent_client.connect() as agent:
        answer = await agent.ready()
    return {name: state for name, state in answer.checks.items() if state != OK}


def _worker() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {ProcrastinateWorker._meta.db_table} "  # noqa: S608, SLF001 - the table's own name
            "WHERE last_heartbeat > now() - make_interval(secs => %s)",
            [WORKER_SILENT_SECONDS],
        )
        (alive,) = cursor.fetchone()
    return OK if alive else f"no worker gave a sign of life for {WORKER_SILENT_SECONDS} s"


class Remembered:
    """The ledger's audit reads every entry: once in a while is often enough."""

    def __init__(self, check: Callable[[], str]) -> None:
        self._check = check
        self._state = OK
        self._until = 0.0

    def __call__(self) -> str:
        if time.monotonic() >= self._until:
            self._state = self._check()
            self._until = time.monotonic() + LEDGER_FRESH_SECONDS
        return self._state


def _ledger() -> str:
    differences = len(find_differences())
    return f"{differences} differences; run ledger_audit" if differences else OK


ledger = Remembered(_ledger)
