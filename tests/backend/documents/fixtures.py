"""What the tests of documents stand on; `conftest` and the promises' tests take from here."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings
from rest_framework.test import APIClient

from backend import agent_client
from backend.bots import services as bots
from backend.bots.catalogue import catalogue
from backend.bots.models import Bot
from backend.documents import claims, services
from backend.documents.models import Document
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.serving import serve

RunJobs = Callable[[], list[str]]


@pytest.fixture
def fresh_process(settings: Settings) -> Iterator[None]:
    """What a process remembers between requests: the breaker, the agent's offer, whether it is about to stop."""
    settings.INGEST_RETRY_DELAY = settings.INGEST_RETRY_DELAY / 100
    agent_client.breaker.succeeded()
    catalogue.forget()
    yield
    claims.draining.clear()


@pytest.fixture(scope="session")
def agent_server() -> Iterator[tuple[FakeAgent, str]]:
    fake = FakeAgent()
    with serve(fake.app) as url:
        yield fake, url


@pytest.fixture
def agent(agent_server: tuple[FakeAgent, str], settings: Settings, fresh_process: None) -> FakeAgent:
    fake, settings.AGENT_URL = agent_server
    fake.__init__()  # type: ignore[misc]  # the server stays, with nothing of the test before
    return fake


@pytest.fixture
def bot(owner: User) -> Bot:
    return bots.create_bot(owner=owner, name="Librarian")


@pytest.fixture
def api(owner: User, as_user: Callable[[User], APIClient]) -> APIClient:
    return as_user(owner)


@pytest.fixture
def upload(bot: Bot) -> Callable[..., Document]:
    def accepted(content: bytes, name: str = "notes.txt", **fields: Any) -> Document:
        file = SimpleUploadedFile(name, content)
        return services.upload_document(bot=fields.pop("bot", bot), file=file, filename=name, **fields)

    return accepted


@pytest.fixture
def run_jobs(db: None) -> RunJobs:
    """Does once, in order, what is due in this app's queue; returns the jobs' names."""

    def run() -> list[str]:
        done = []
        due = ProcrastinateJob.objects.filter(Q(scheduled_at=None) | Q(scheduled_at__lte=Now()), status="todo")
        for job in due.filter(task_name__startswith="documents.").order_by("pk"):
            ProcrastinateJob.objects.filter(pk=job.pk)._raw_delete("default")  # the model refuses a deletion
            app.tasks[job.task_name](**job.args)
            done.append(job.task_name)
        return done

    return run


@pytest.fixture
def ingested(upload: Callable[..., Document], run_jobs: RunJobs, agent: FakeAgent) -> Callable[..., Document]:
    """Uploads and does the worker's part."""

    def through(content: bytes, name: str = "notes.txt", **fields: Any) -> Document:
        document = upload(content, name, **fields)
        run_jobs()
        document.refresh_from_db()
        return document

    return through


@pytest.fixture
def empty_queue(transactional_db: None) -> Iterator[None]:
    """For tests with real workers: Django's own flush leaves the queue's tables as they are."""
    _empty_queue()
    yield
    _empty_queue()


def _empty_queue() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_workers, procrastinate_periodic_defers CASCADE")


@pytest.fixture
def empty_storage() -> None:
    for name in stored_files():
        default_storage.delete(f"documents/{name}")


def stored_files() -> list[str]:
    return default_storage.listdir("documents")[1] if default_storage.exists("documents") else []
