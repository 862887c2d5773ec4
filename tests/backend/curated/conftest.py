from collections.abc import Callable, Iterator

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from backend.bots.models import Bot
from backend.curated import publishing, services
from backend.curated.models import Book, Pair
from backend.documents.models import Document, State
from tests.backend.conversations.conftest import (
    Knowledge,
    agent,
    client_of,
    conversation,
    knowledge,
    web,
)
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import agent_server, empty_storage, run_jobs

__all__ = ["agent", "agent_server", "client_of", "conversation", "empty_storage", "knowledge", "run_jobs", "web"]

QUESTION = "What are your opening hours?"
ANSWER = "We open at nine [sharp].\n\nOn Sundays we are closed."


@pytest.fixture
def bot(knowledge: Knowledge) -> Bot:
    return knowledge.bot


@pytest.fixture
def pair(bot: Bot) -> Pair:
    return services.create_pair(bot=bot, questions=[QUESTION], answer=ANSWER, link="https://shop.example/hours")


@pytest.fixture
def read(
    run_jobs: Callable[[], list[str]], agent_server: tuple[FakeAgent, str], settings: Settings
) -> Iterator[Callable[[], Document]]:
    """Does the worker's part: the document says what the pairs say, and serves."""

    def done() -> Document:
        book = Book.objects.live().get()
        publishing.publish(book.pk)
        scripted, settings.AGENT_URL = settings.AGENT_URL, agent_server[1]
        run_jobs()
        settings.AGENT_URL = scripted
        document = Document.objects.get(pk=book.pk)
        assert document.state == State.READY, document.error_code
        return document

    yield done
    ProcrastinateJob.objects.all()._raw_delete("default")
