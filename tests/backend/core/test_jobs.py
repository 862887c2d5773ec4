import itertools
from datetime import UTC, datetime

import pytest
from croniter import croniter
from procrastinate.contrib.django import app

import backend.conversations.tasks
import backend.documents.tasks
from backend.core.jobs import every

SWEEPERS = [backend.conversations.tasks.sweep_turns.name, backend.documents.tasks.sweep.name]
START = datetime(2026, 1, 1, 0, 3, 7, tzinfo=UTC)  # in a minute and a second that no rhythm begins with


def gaps(cron: str, times: int = 50) -> set[float]:
    due = croniter(cron, START)
    moments = [due.get_next(float) for _ in range(times)]
    return {later - earlier for earlier, later in itertools.pairwise(moments)}


@pytest.mark.parametrize("seconds", [1, 2, 5, 10, 30, 60, 120])
def test_every_comes_every_so_many_seconds(seconds: int) -> None:
    assert gaps(every(seconds)) == {seconds}


@pytest.mark.parametrize("name", SWEEPERS)
def test_a_sweeper_comes_as_often_as_its_setting_says(name: str, settings: object) -> None:
    (periodic,) = [one for one in app.periodic_registry.periodic_tasks.values() if one.task.name == name]
    assert gaps(periodic.cron) == {settings.SWEEP_SECONDS}  # type: ignore[attr-defined]
