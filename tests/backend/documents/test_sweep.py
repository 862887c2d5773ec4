"""R12: whatever the queue lost, the rows remember."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from procrastinate.contrib.django.models import ProcrastinateJob

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.core import jobs
from backend.documents import claims, services, sweeping
from backend.documents.models import Chunk, Document, State
from backend.users import services as users
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(200)).encode()


@pytest.fixture
def lose_jobs(db: None) -> Iterator[Callable[[], None]]:
    """What a crash between commit and enqueue, or a lost queue, leaves."""

    def lose() -> None:
        ProcrastinateJob.objects.all()._raw_delete("default")

    lose()
    return lose  # type: ignore[return-value]


def waiting() -> list[str]:
    return sorted(ProcrastinateJob.objects.filter(status="todo").values_list("task_name", flat=True))


def stall(task: str) -> None:
    """As a worker leaves a job that was killed while doing it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', attempts = 1 WHERE task_name = %s AND status = 'todo'",
            [task],
        )


def test_a_queued_document_whose_job_was_lost_is_ingested(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, lose_jobs: Callable[[], None]
) -> None:
    document = upload(LONG)
    lose_jobs()
    sweeping.sweep()
    sweeping.sweep()
    assert run_jobs() == [claims.INGEST]
    document.refresh_from_db()
    assert document.state == State.READY


def test_a_document_of_a_killed_worker_is_taken_up_again(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, lose_jobs: Callable[[], None]
) -> None:
    document = upload(LONG)
    claims.take()
    lose_jobs()
    sweeping.sweep()
    assert waiting() == []
    Document.objects.update(lease_until=Now() - timedelta(seconds=1))
    sweeping.sweep()
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.attempt, document.fence) == (State.READY, 2, 2)


def test_a_document_that_is_to_wait_waits(upload: Upload, agent: FakeAgent, lose_jobs: Callable[[], None]) -> None:
    upload(LONG)
    lose_jobs()
    Document.objects.update(wake_at=Now() + timedelta(minutes=1))
    sweeping.sweep()
    assert waiting() == []


def test_deletions_and_retired_versions_are_finished(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, lose_jobs: Callable[[], None]
) -> None:
    doomed, changed = ingested(LONG), ingested(LONG + b"!")
    services.delete_document(document=doomed)
    services.reindex(document=changed)
    run_jobs()
    run_jobs()
    services.reindex(document=changed)
    claims_only = ProcrastinateJob.objects.filter(task_name=claims.INGEST)
    assert claims_only.exists()
    run_jobs()
    lose_jobs()
    assert len(agent.all_ids()) == 2 * Chunk.objects.filter(version=Document.objects.get().version).count()
    sweeping.sweep()
    run_jobs()
    assert agent.all_ids() == set(Chunk.objects.values_list("pk", flat=True))


def test_erasures_of_documents_bots_and_accounts_are_remembered(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot, stranger: User, lose_jobs: Callable[[], None]
) -> None:
    other = bots.create_bot(owner=bot.owner, name="Other")
    services.delete_document(document=upload(LONG))
    upload(LONG, bot=other)
    bots.delete_bot(bot=other)
    users.delete_account(user=stranger)
    lose_jobs()
    sweeping.sweep()
    assert waiting() == ["documents.erase_bot", "documents.erase_document", "documents.erase_user", claims.INGEST]
    run_jobs()
    assert not Document.objects.exists()
    assert list(Bot.objects.all()) == [bot]
    assert not User.objects.filter(pk=stranger.pk).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_the_job_of_a_killed_worker_is_run_again(agent: FakeAgent) -> None:
    jobs.enqueue("documents.reindex_bot", bot_id="01a1fc61-d337-72c9-ac1e-0c5fd3041f98")
    stall("documents.reindex_bot")
    sweeping.sweep()
    assert waiting() == ["documents.reindex_bot"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_one_stalled_job_that_cannot_be_revived_does_not_stop_the_others(agent: FakeAgent) -> None:
    """The queue's own sweep dies on the first job whose lock is taken."""
    lock = "documents.sweep"
    jobs.enqueue("documents.sweep", queueing_lock=lock, timestamp=1)
    stall("documents.sweep")
    jobs.enqueue("documents.sweep", queueing_lock=lock, timestamp=2)
    for number in range(20):
        jobs.enqueue("documents.reindex_bot", bot_id=f"{number:032x}")
    stall("documents.reindex_bot")
    sweeping.sweep()
    assert waiting() == ["documents.reindex_bot"] * 20 + ["documents.sweep"]
    assert not ProcrastinateJob.objects.filter(status="doing").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_one_bad_row_does_not_stop_the_sweep_of_20_others(
    upload: Upload, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [upload(f"Text {number}.".encode()) for number in range(20)]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF new.args->>'document_id' = '{documents[3].pk}' THEN RAISE EXCEPTION 'bad row'; END IF;"
            " RETURN new; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    try:
        sweeping.sweep()
        assert len(waiting()) == 19
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse ON procrastinate_jobs")
            cursor.execute("DROP FUNCTION refuse()")


def test_the_tasks_take_ids_as_words(run_jobs: RunJobs, agent: FakeAgent, bot: Bot) -> None:
    nobody = "01a1fc61-d337-72c9-ac1e-0c5fd3041f98"
    arguments: dict[str, dict[str, Any]] = {
        "documents.ingest": {"document_id": nobody},
        "documents.retire_versions": {"document_id": nobody},
        "documents.erase_document": {"document_id": nobody},
        "documents.reindex_bot": {"bot_id": nobody},
        "documents.erase_bot": {"bot_id": nobody},
        "documents.erase_user": {"user_id": nobody},
        "documents.confirm_erasure": {"bot_id": nobody, "owner_id": nobody, "document_id": None},
        "documents.sweep": {"timestamp": int(time.time())},
    }
    for task, given in arguments.items():
        jobs.enqueue(task, **given)
    assert sorted(run_jobs()) == sorted(arguments)
