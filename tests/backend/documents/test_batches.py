"""Small documents that go their way together: what happens to one does not happen to the others."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from pytest_django import Settings

from backend.bots.indexes import IndexChanged
from backend.bots.models import Bot
from backend.documents import claims, ingestion, reading, services
from backend.documents.batches import Batch
from backend.documents.models import Chunk, Document, DocumentVersion, State, VersionState
from backend.documents.serving import serve
from backend.webhooks.models import Delivery, Endpoint
from tests.backend.documents.fake_agent import FakeAgent, refusal
from tests.backend.documents.fixtures import RunJobs
from tests.backend.documents.samples import poison_pdf

Upload = Callable[..., Document]
TEXT = "".join(f"Sentence {number} of a long text. " for number in range(40))


@pytest.fixture(autouse=True)
def _nothing_is_slow(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """However slow the machine is. A heartbeat has a connection of its own, and does not see a test's rows."""
    monkeypatch.setattr(reading, "SLOW_SECONDS", 60.0)
    settings.INGEST_HEARTBEAT = timedelta(minutes=5)


def several(upload: Upload, count: int = 6) -> list[Document]:
    return [upload(f"Document {number}. {TEXT}".encode(), f"{number}.txt") for number in range(count)]


def states() -> dict[str, str]:
    return dict(Document.objects.values_list("title", "state"))


def check_index(agent: FakeAgent) -> None:
    assert agent.all_ids() == set(Chunk.objects.filter(document__state=State.READY).values_list("pk", flat=True))
    assert set(agent.embedded.values()) == {1}


def test_they_share_their_way_to_the_agent(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    several(upload)
    run_jobs()
    assert set(states().values()) == {State.READY}
    assert agent.requests["embed"] == 1
    assert {vector.document for vector in agent.stored()} == set(Document.objects.values_list("pk", flat=True))
    check_index(agent)


def test_each_of_a_batch_is_counted_and_told(upload: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot) -> None:
    url = "https://hooks.example/"
    Endpoint.objects.create(owner=bot.owner, url=url, events=["document.ready"])
    documents = several(upload, 3)
    run_jobs()
    assert agent.requests["embed"] == 1
    assert {one.data["document"] for one in Delivery.objects.all()} == {str(one.pk) for one in documents}
    for document in Document.objects.select_related("version"):
        assert document.version is not None
        counts = (document.chunks_done, document.chunks_total, document.pages_done, document.pages_total)
        assert counts == (document.version.chunk_count, document.version.chunk_count, 1, 1)
        assert document.version.chunk_count > 1


def test_one_that_cannot_be_read_fails_alone(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    several(upload, 3)
    upload(b"%PDF-1.7 broken", "broken.pdf")
    run_jobs()
    assert states() == {"0": "ready", "1": "ready", "2": "ready", "broken": "failed"}
    check_index(agent)


def test_one_that_crashes_the_parser_is_tried_twice_and_the_others_once(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.PARSER_MEMORY_BYTES = 256 * 1024**2
    poison = upload(poison_pdf(300), "poison.pdf")
    several(upload, 2)
    run_jobs()
    run_jobs()
    poison.refresh_from_db()
    assert (poison.state, poison.parser_crashes, poison.attempt) == (State.FAILED, 2, 2)
    assert set(Document.objects.exclude(pk=poison.pk).values_list("state", "attempt")) == {(State.READY, 1)}


def test_a_refusal_for_good_is_laid_at_the_door_of_one(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    several(upload, 3)
    together, first = (refusal(400, "rejected", retryable=False) for _ in range(2))
    agent.faults = [together, first]
    run_jobs()
    assert sorted(states().values()) == ["failed", "ready", "ready"]
    assert Document.objects.get(state=State.FAILED).error_code == "rejected"


def test_a_passing_failure_is_waited_out_by_all(upload: Upload, agent: FakeAgent) -> None:
    several(upload, 3)
    agent.faults = [refusal(503, "away", retryable=True)]
    ingestion.ingest()
    assert set(Document.objects.values_list("state", "error_code", "failures")) == {("queued", "away", 1)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_one_that_is_deleted_amid_the_embedding_leaves_the_others(
    upload: Upload, agent: FakeAgent, settings: Settings
) -> None:
    settings.EMBED_BATCH, agent.seconds = 2, 0.1
    documents = several(upload, 4)
    worker = threading.Thread(target=work)
    worker.start()
    while not agent.requests["embed"]:
        threading.Event().wait(0.01)
    services.delete_document(document=documents[3])
    worker.join()
    assert sorted(states().values()) == ["deleting", "ready", "ready", "ready"]
    assert Document.objects.get(state=State.DELETING).lease_until is None  # handed over to the erasure


def work() -> None:
    try:
        ingestion.ingest()
    finally:
        connection.close()


def test_one_that_takes_long_hands_the_others_back_as_if_they_had_not_been_taken(
    upload: Upload, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SLOW_SECONDS", -1.0)
    several(upload, 3)
    ingestion.ingest()
    assert sorted(states().values()) == ["queued", "queued", "ready"]
    assert set(Document.objects.values_list("state", "attempt")) == {("queued", 0), ("ready", 1)}
    for _ in range(2):
        ingestion.ingest()
    check_index(agent)
    assert set(states().values()) == {State.READY}


def test_a_version_for_an_index_that_serves_no_more_is_made_anew(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    document = upload(TEXT.encode())
    agent.faults = [refusal(503, "away", retryable=True)]
    run_jobs()
    Document.objects.update(wake_at=None)
    version = DocumentVersion.objects.get()
    bot.refresh_from_db()
    before = bot.index
    Bot.objects.update(generation=1)
    Chunk.objects.update(embedded=True)
    [claim] = claims.take()
    with pytest.raises(IndexChanged):
        serve(Batch([claim]), {document.pk: version}, before)
    claims.release(claim)
    run_jobs()
    document.refresh_from_db()
    assert document.version is not None
    assert (document.state, document.version.generation, document.version.number) == (State.READY, 1, 2)
    assert DocumentVersion.objects.get(pk=version.pk).state == VersionState.RETIRED


def test_one_to_be_reviewed_waits_with_its_report_and_goes_on_where_it_stopped(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = upload(TEXT.encode(), review=True)
    upload(b"Another.", "other.txt")
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.lease_until, document.pages_done) == (State.WAITING, None, 1)
    version = DocumentVersion.objects.get(document=document)
    assert version.report["passages"] == version.chunk_count
    assert not {vector.document for vector in agent.stored()} & {document.pk}
    Document.objects.filter(pk=document.pk).update(review=False)
    claims.queue(Document.objects.filter(pk=document.pk), document.pk)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.version) == (State.READY, version)


@pytest.mark.parametrize("moment", ["queued", "waiting", "between attempts"])
def test_what_is_cancelled_ends_and_leaves_no_vector(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings, moment: str
) -> None:
    document = upload(TEXT.encode(), review=moment == "waiting")
    if moment == "between attempts":
        settings.EMBED_BATCH = 1
        agent.faults = [refusal(503, "away", retryable=True)]
    if moment != "queued":
        run_jobs()
    assert claims.cancel(document)
    assert not claims.cancel(document)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.version, document.error_code) == (State.CANCELLED, None, "")
    assert not agent.all_ids()
    assert not Chunk.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_what_is_cancelled_amid_the_embedding_is_erased_once_its_worker_has_stopped(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.EMBED_BATCH, agent.seconds = 1, 0.3
    document = upload(TEXT.encode())
    worker = threading.Thread(target=work)
    worker.start()
    while not agent.requests["embed"]:
        threading.Event().wait(0.01)
    assert claims.cancel(document)
    run_jobs()
    assert Chunk.objects.exists()  # the worker may still be sending
    worker.join()
    run_jobs()
    assert not agent.all_ids()
    assert not Chunk.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_a_document_replaced_amid_the_embedding_leaves_no_vector_of_the_old_version(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.EMBED_BATCH, agent.seconds = 1, 0.3
    document = upload(TEXT.encode())
    worker = threading.Thread(target=work)
    worker.start()
    while not agent.requests["embed"]:
        threading.Event().wait(0.01)
    Document.objects.update(sha256="0" * 64)
    claims.queue(Document.objects.all(), document.pk)
    ingestion.ingest()
    worker.join()
    run_jobs()
    assert {vector.version for vector in agent.stored()} == {Document.objects.get().version_id}
