import io
import os
import sys

import pytest

from launcher.console import Console
from launcher.errors import LauncherError
from launcher.migrating import MigrationLog
from launcher.supervisor import Service, Supervisor

BEGUN = ["Operations to perform:", "  Apply all migrations: bots, core", "Running migrations:"]
APPLIED = ["  Applying core.0001_initial... OK", "  Applying bots.0001_initial... OK"]


def said(*lines: str) -> list[str]:
    out = io.StringIO()
    log = MigrationLog(Console(out))
    for line in lines:
        log.line("release", line)
    log.tell()
    return [line.partition("| ")[2] for line in out.getvalue().splitlines()]


def test_migrations_that_work_are_one_line() -> None:
    assert said(*BEGUN, *APPLIED) == ["2 migrations applied"]
    assert said(*BEGUN, APPLIED[0]) == ["1 migration applied"]
    assert said(*BEGUN, "  No migrations to apply.") == []


def test_what_else_is_said_is_told_as_it_is_and_after_what_came_before_it() -> None:
    failing = ["  Applying bots.0001_initial...Traceback (most recent call last):", "ValueError: no"]
    assert said("the mole is wet", *BEGUN, APPLIED[0]) == ["the mole is wet", "1 migration applied"]
    assert said(*BEGUN, APPLIED[0], *failing)[:-1] == [*BEGUN, APPLIED[0], *failing]


async def test_a_release_that_fails_shows_where_it_came_to() -> None:
    out = io.StringIO()
    console = Console(out)
    program = f"print({APPLIED[0]!r}); print('  Applying bots.0001_initial...', end='', flush=True); 1 / 0"
    release = Service("release", [sys.executable, "-c", program])
    with pytest.raises(LauncherError):
        await Supervisor([], dict(os.environ), console).once(release, MigrationLog(console))
    first, second, *_ = out.getvalue().splitlines()
    assert first.endswith(APPLIED[0])
    assert second.endswith("  Applying bots.0001_initial...Traceback (most recent call last):")
