import re
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings
from rest_framework.test import APIClient


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def run_jobs(db: None) -> Callable[[], list[str]]:
    """Does what the worker would do with the jobs of this app that nobody did yet; returns their names."""
    done: set[int] = set()

    def run() -> list[str]:
        jobs = ProcrastinateJob.objects.filter(task_name__startswith="users.").exclude(pk__in=done).order_by("pk")
        for job in jobs:
            app.tasks[job.task_name](**job.args)
        done.update(job.pk for job in jobs)
        return [job.task_name for job in jobs]

    return run


@pytest.fixture
def link_token(run_jobs: Callable[[], list[str]]) -> Callable[[], str]:
    """The token of the link in the newest letter."""

    def newest() -> str:
        run_jobs()
        found = re.search(r"http\S+", str(mail.outbox[-1].body))
        assert found
        return parse_qs(urlsplit(found.group()).query)["token"][0]

    return newest


@pytest.fixture
def one_window() -> None:
    """Limits count in windows that begin with the minute; a test that reaches one must not straddle that."""
    if (left := 60 - time.time() % 60) < 6:
        time.sleep(left)


@pytest.fixture
def no_limits(settings: Settings) -> None:
    settings.LOGIN_LIMIT_PER_ACCOUNT_MINUTE = 0
    settings.LOGIN_LIMIT_PER_ADDRESS_MINUTE = 0
    settings.REGISTER_LIMIT_PER_ADDRESS_HOUR = 0
    settings.RESET_LIMIT_PER_ACCOUNT_HOUR = 0
