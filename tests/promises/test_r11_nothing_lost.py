"""R11: an upload whose process was killed right after the row was committed comes to an end all the same."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import random
from collections.abc import Callable

import pytest
from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from backend.documents import claims
from backend.documents.models import Document, State
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import agent, agent_server, bot, empty_queue, fresh_process, upload
from tests.backend.documents.workers import eventually, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue")]

Upload = Callable[..., Document]


def lose_reminder(document: Document) -> None:
    """What is left where a row was committed and the job never was, or the queue lost it."""
    gone = ProcrastinateJob.objects.filter(task_name=claims.INGEST, args__document_id=str(document.pk))
    assert gone._raw_delete("default") == 1


def upload_losing_some(upload: Upload, *, count: int, lost: int, luck: random.Random) -> None:
    unlucky = set(luck.sample(range(count), lost))
    for number in range(count):
        with transaction.atomic():  # a worker may take what is committed at once, and forgets the reminder itself
            document = upload(f"Document {number} says something.".encode(), f"{number}.txt")
            if number in unlucky:
                lose_reminder(document)


def all_ready() -> bool:
    return not Document.objects.exclude(state=State.READY).exists()


def test_documents_whose_reminders_were_lost_become_ready(upload: Upload, agent: FakeAgent) -> None:
    with workers(1):
        upload_losing_some(upload, count=20, lost=6, luck=random.Random(11))
        assert eventually(all_ready, seconds=90)
    assert set(agent.embedded.values()) == {1}


def test_documents_of_a_queue_that_was_emptied_become_ready(upload: Upload, agent: FakeAgent) -> None:
    upload_losing_some(upload, count=40, lost=40, luck=random.Random(1))
    with workers(1):
        assert eventually(all_ready, seconds=90)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_500_uploads_a_tenth_lose_their_reminder_and_all_become_ready(
    upload: Upload, agent: FakeAgent, seed: int
) -> None:
    with workers(2):
        upload_losing_some(upload, count=500, lost=50, luck=random.Random(seed))
        assert eventually(all_ready, seconds=300)
    assert set(agent.embedded.values()) == {1}
