"""R12: what the queue does wrong under a kill, a pause or a bad job harms no document."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from backend.core import jobs
from backend.documents import claims, forking, ingestion, sweeping
from backend.documents.models import Chunk, Document, DocumentVersion, State
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import agent, agent_server, bot, empty_queue, fresh_process, upload
from tests.backend.documents.samples import poison_pdf
from tests.backend.documents.workers import eventually, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue")]

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(500)).encode()


def in_work() -> bool:
    return Document.objects.filter(state=State.PROCESSING).exists()


def ready() -> bool:
    return Document.objects.filter(state=State.READY).exists()


def check_embedded_once(agent: FakeAgent) -> None:
    assert agent.all_ids() == set(Chunk.objects.values_list("pk", flat=True))
    assert set(agent.embedded.values()) == {1}


def test_a_a_killed_workers_document_is_rescued_within_a_minute(upload: Upload, agent: FakeAgent) -> None:
    """Though the killed worker's job stays "doing" for ever."""
    agent.seconds = 0.3
    upload(LONG)
    with workers(1) as (killed,):
        assert eventually(lambda: agent.requests["embed"], seconds=60)
        killed.kill()
        begun = time.monotonic()
        with workers(1):
            assert eventually(ready, seconds=60)
    assert time.monotonic() - begun < 60
    check_embedded_once(agent)


def test_b_a_paused_worker_that_wakes_changes_nothing(upload: Upload, agent: FakeAgent) -> None:
    agent.seconds = 0.3
    upload(LONG)
    with workers(1) as (zombie,):
        assert eventually(lambda: agent.requests["embed"], seconds=60)
        zombie.signal(signal.SIGSTOP)
        with workers(1) as (successor,):
            assert eventually(ready, seconds=120)
            successor.stop()
            before = Document.objects.values().get()
            zombie.signal(signal.SIGCONT)
            assert zombie.stop() == 0
    assert Document.objects.values().get() == before
    assert DocumentVersion.objects.count() == 1
    check_embedded_once(agent)


def test_b_one_that_wakes_while_its_successor_is_at_work_changes_nothing(upload: Upload, agent: FakeAgent) -> None:
    upload(LONG)
    successors: list[claims.Claim] = []

    def overtaken() -> None:
        Document.objects.update(lease_until=Now() - timedelta(seconds=1))
        successors.extend(claims.take())

    agent.before_embedding = overtaken
    ingestion.ingest()
    assert [claim.fence for claim in successors] == [2]
    assert Document.objects.values_list("state", "fence", "chunks_done").get() == (State.PROCESSING, 2, 0)
    assert not Chunk.objects.filter(embedded=True).exists()
    with pytest.raises(claims.LostClaim):
        claims.write(replace(successors[0], fence=1), chunks_done=1)


def test_c_one_bad_job_does_not_keep_the_sweep_from_20_others(upload: Upload, agent: FakeAgent) -> None:
    jobs.enqueue("documents.sweep", queueing_lock="documents.sweep", timestamp=1)
    stall("documents.sweep")
    jobs.enqueue("documents.sweep", queueing_lock="documents.sweep", timestamp=2)
    for number in range(20):
        jobs.enqueue("documents.reindex_bot", bot_id=f"{number:032x}")
    stall("documents.reindex_bot")
    sweeping.sweep()
    waiting = ProcrastinateJob.objects.filter(status="todo").values_list("task_name", flat=True)
    assert sorted(waiting) == ["documents.reindex_bot"] * 20 + ["documents.sweep"]


def stall(task: str) -> None:
    """As a worker leaves a job that was killed while doing it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing', attempts = 1 WHERE task_name = %s", [task])


def test_d_a_file_kills_two_parsers_and_no_more(upload: Upload, agent: FakeAgent) -> None:
    upload(poison_pdf(300), "poison.pdf")
    with workers(1, PARSER_MEMORY_BYTES=str(256 * 1024**2)):
        assert eventually(lambda: Document.objects.filter(state=State.FAILED).exists(), seconds=60)
        time.sleep(2)  # two sweeps
    document = Document.objects.get()
    assert (document.error_code, document.parser_crashes, document.attempt) == ("parser_crashed", 2, 2)


@pytest.fixture
def slow_parser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """All computing, for three leases; a file tells how often it began."""
    runs = tmp_path / "runs"
    work = (
        "def work(request):\n    import time\n"
        f"    open({str(runs)!r}, 'a').write('x')\n    end = time.monotonic() + 3\n"
        "    while time.monotonic() < end: pass\n"
        '    print(\'{"total": 1}\\n{"label": "1", "text": "Read."}\\n{"done": true}\')\n'
    )
    monkeypatch.setattr(forking, "_PROGRAM", forking._PROGRAM.replace("main()", f"{work}main(work)"))
    forking.stop_server()
    yield runs
    monkeypatch.undo()
    forking.stop_server()


def test_e_a_parse_that_outlasts_the_lease_is_not_run_twice(
    upload: Upload, agent: FakeAgent, settings: Settings, slow_parser: Path
) -> None:
    settings.INGEST_LEASE, settings.INGEST_HEARTBEAT = settings.INGEST_LEASE / 30, settings.INGEST_HEARTBEAT / 25
    upload(LONG)
    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        sweeping.sweep()
        ingestion.ingest()  # as other workers that the sweeper reminds
        time.sleep(0.2)
    assert slow_parser.read_text() == "x"
    assert Document.objects.values_list("state", "attempt", "fence").get() == (State.READY, 1, 1)


def work() -> None:
    try:
        ingestion.ingest()
    finally:
        connection.close()


def test_f_a_sweeper_killed_mid_run_does_not_keep_the_next_from_its_work(upload: Upload, agent: FakeAgent) -> None:
    upload(LONG)
    ProcrastinateJob.objects.all()._raw_delete("default")
    jobs.enqueue("documents.sweep", queueing_lock="documents.sweep", timestamp=1)
    stall("documents.sweep")
    with workers(1):
        assert eventually(ready, seconds=60)
