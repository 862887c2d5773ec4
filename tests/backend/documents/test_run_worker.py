"""`manage.py run_worker`, as a process."""

import time
from collections.abc import Callable

import pytest
from django.db import connection

from backend.documents import services
from backend.documents.models import Document, State
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.workers import cut_all_connections, eventually, workers

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(500)).encode()

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue")]


def jobs_left() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name <> 'documents.sweep'")
        return int(cursor.fetchone()[0])


def test_it_works_hands_back_on_sigterm_and_the_next_one_goes_on(upload: Upload, agent: FakeAgent) -> None:
    agent.seconds = 0.3
    document = upload(LONG)
    with workers(1) as (worker,):
        assert eventually(lambda: agent.requests["embed"], seconds=20)
        begun = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - begun < 5
        document.refresh_from_db()
        assert (document.state, document.lease_until) == (State.QUEUED, None)
        worker.start()
        assert eventually(lambda: Document.objects.filter(state=State.READY).exists(), seconds=20)
        assert eventually(lambda: not jobs_left(), seconds=5)
    assert set(agent.embedded.values()) == {1}


def test_without_its_database_it_fails_so_that_it_is_started_again(agent: FakeAgent) -> None:
    with workers(1) as (worker,):
        assert eventually(_listens, seconds=30)
        cut_all_connections()
        assert worker.process.wait(30) == 1


def _listens() -> bool:
    """A worker that is only starting may lose its connections without harm."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
            " AND state = 'idle' AND now() - state_change > interval '1 s'"
        )
        return bool(cursor.fetchone()[0])


def test_a_job_that_a_job_enqueued_is_done(upload: Upload, agent: FakeAgent) -> None:
    """What a job enqueues goes over Django's connection, also in the worker, and so with the job's own rows."""
    document = upload(LONG)
    with workers(1):
        assert eventually(lambda: Document.objects.filter(state=State.READY).exists(), seconds=20)
        services.reindex(document=document)
        assert eventually(lambda: Document.objects.get().version_id != document.version_id, seconds=20)
        assert eventually(lambda: len({vector.version for vector in agent.stored()}) == 1, seconds=20)
