from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q
from django.db.models.functions import Now
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from backend.bots.models import Bot
from backend.sources import services
from backend.sources.models import Source
from backend.sources.web import politeness
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import agent, agent_server, api, bot, empty_queue, fresh_process
from tests.backend.sources.stand_in import KIND, StandIn, registered
from tests.websites import Website, article, website

__all__ = ["agent", "agent_server", "api", "bot", "empty_queue", "fresh_process"]

Work = Callable[[], list[str]]
Follow = Callable[..., Source]


@pytest.fixture
def site(settings: Settings) -> Iterator[Website]:
    with website() as site:
        settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.1/32"]
        settings.FETCH_PORTS = [site.port]
        settings.WEB_DELAY_SECONDS = 0.0
        politeness.forget_robots()
        site.pages["/"] = article("Harbour", "Ships come and go.")
        yield site


@pytest.fixture
def work(agent: FakeAgent, db: None, settings: Settings) -> Work:
    """Does what is due in the queue, until nothing is; returns the jobs' names."""
    settings.INGEST_HEARTBEAT = timedelta(minutes=5)  # it has a connection of its own, and does not see a test's rows

    def run() -> list[str]:
        done: list[str] = []
        due = ProcrastinateJob.objects.filter(Q(scheduled_at=None) | Q(scheduled_at__lte=Now()), status="todo")
        ours = due.filter(Q(task_name__startswith="documents.") | Q(task_name__startswith="sources.")).order_by("pk")
        while job := ours.first():
            ProcrastinateJob.objects.filter(pk=job.pk)._raw_delete("default")  # the model refuses a deletion
            app.tasks[job.task_name](**job.args)
            done.append(job.task_name)
        return done

    return run


@pytest.fixture
def follow(bot: Bot, site: Website, work: Work) -> Follow:
    """Creates a source of the site and does the worker's part."""

    def through(kind: str = "site", path: str = "/", every_minutes: int | None = None, **configuration: Any) -> Source:
        source = services.create_source(
            bot=bot,
            kind=kind,
            configuration={"url": f"{site.url}{path}", **configuration},
            every_minutes=every_minutes,
        )
        work()
        source.refresh_from_db()
        return source

    return through


@pytest.fixture
def again(work: Work) -> Callable[..., Source]:
    """Syncs once more."""

    def sync(source: Source, **options: Any) -> Source:
        services.sync_now(source=source, **options)
        work()
        source.refresh_from_db()
        return source

    return sync


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with registered() as connector:
        connector.place |= {"a": "Text of a.", "b": "Text of b.", "c": "Text of c."}
        yield connector


@pytest.fixture
def source(bot: Bot, stand_in: StandIn) -> Source:
    """Queued, and not yet synced."""
    return services.create_source(bot=bot, kind=KIND, configuration={"name": "place"})


@pytest.fixture
def synced(source: Source, work: Work) -> Source:
    work()
    source.refresh_from_db()
    return source
