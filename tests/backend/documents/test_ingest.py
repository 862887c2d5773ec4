"""From queued to an end: what each failure makes of a document, and what a repeat leaves alone."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models.functions import Now
from pytest_django import Settings
from starlette.responses import Response

from backend.bots.models import Bot, BotVersion
from backend.documents import claims, ingestion, services
from backend.documents.claims import Claim, LostClaim
from backend.documents.failures import INTERNAL
from backend.documents.heartbeat import Heartbeat
from backend.documents.models import Chunk, Document, DocumentVersion, Page, State
from tests.backend.documents.fake_agent import EMBEDDING, FakeAgent, refusal
from tests.backend.documents.fixtures import RunJobs
from tests.backend.documents.samples import docx, paragraph, pdf, poison_pdf, real_pdf
from tests.backend.documents.workers import cut_all_connections

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(200)).encode()


def after(document: Document) -> Document:
    document.refresh_from_db()
    return document


def chunks_of(document: Document) -> list[Chunk]:
    return list(Chunk.objects.filter(version=document.version).order_by("position"))


def check_whole(document: Document, agent: FakeAgent) -> None:
    """Ready, every chunk quotes its page, and the store holds exactly the chunks."""
    assert (document.state, document.error_code, document.lease_until) == (State.READY, "", None)
    pages = dict(Page.objects.filter(version=document.version).values_list("number", "text"))
    chunks = chunks_of(document)
    assert all(chunk.text == pages[chunk.page][chunk.start : chunk.end] for chunk in chunks)
    assert [chunk.position for chunk in chunks] == list(range(document.version.chunk_count))  # type: ignore[union-attr]
    assert agent.all_ids() >= {chunk.pk for chunk in chunks}
    assert set(agent.embedded.values()) == {1}


@pytest.mark.parametrize(
    ("content", "name", "pages"),
    [
        (pdf(["Page one says hello.", "", "Page three says bye."]), "a.pdf", 3),
        (docx(paragraph("A paragraph.")), "a.docx", 1),
        (b"<h1>Title</h1><p>Text", "a.html", 1),
        (b"# Title\n\nText", "a.md", 1),
        (LONG * 5, "a.txt", 2),
    ],
)
def test_every_format_becomes_ready(ingested: Upload, agent: FakeAgent, content: bytes, name: str, pages: int) -> None:
    document = ingested(content, name)
    check_whole(document, agent)
    assert document.version is not None
    assert (document.version.page_count, document.version.number) == (pages, 1)
    assert (document.pages_done, document.chunks_done) == (pages, document.version.chunk_count)
    assert document.version.embedding == EMBEDDING


def test_a_real_filing_becomes_ready_with_its_pages(ingested: Upload, agent: FakeAgent, settings: Settings) -> None:
    document = ingested(real_pdf("BESTBUY_2024Q2_10Q.pdf").read_bytes(), "10q.pdf")
    check_whole(document, agent)
    assert document.version is not None
    assert document.version.page_count == 30
    assert "BEST BUY CO., INC." in services.page_text(version_id=document.version.pk, page=1)
    assert agent.most_at_once <= 3
    assert agent.headings == {"10q"}


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (pdf(["x"], encrypted=True), "a.pdf", "encrypted_pdf"),
        (b"%PDF-1.7 broken", "a.pdf", "corrupt_file"),
        (pdf(["", ""]), "scan.pdf", "no_text"),
        (b" \n\t \xe2\x80\x8b", "a.txt", "no_text"),
        (docx(paragraph("x"), parts={"bomb": " " * 30_000_000}), "a.docx", "zip_bomb"),
    ],
)
def test_a_file_that_cannot_be_read_fails_with_code_sentence_and_hint(
    ingested: Upload, agent: FakeAgent, content: bytes, name: str, code: str
) -> None:
    document = ingested(content, name)
    assert (document.state, document.error_code) == (State.FAILED, code)
    assert document.error_message
    assert document.error_hint
    assert not agent.requests["embed"]


@pytest.mark.parametrize(
    ("content", "name", "asked"),
    [
        (pdf(["", ""]), "a.pdf", "Is it a scan?"),
        (docx(paragraph("")), "a.docx", "only pictures"),
        (b"<html><body><div id=app></div><script>go()</script></body></html>", "a.html", "filled in by a script?"),
        (b" \n\t ", "a.txt", "The file has no text."),
        (b" \n\n", "a.md", "The file has no text."),
        (b" , \n , \n", "a.csv", "The file has no text."),
    ],
)
def test_what_is_asked_about_a_file_without_text_fits_its_format(
    ingested: Upload, agent: FakeAgent, content: bytes, name: str, asked: str
) -> None:
    document = ingested(content, name)
    assert (document.state, document.error_code) == (State.FAILED, "no_text")
    assert asked in document.error_message


def test_a_poison_file_is_tried_twice(upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings) -> None:
    settings.PARSER_MEMORY_BYTES = 256 * 1024**2
    document = upload(poison_pdf(300), "poison.pdf")
    run_jobs()
    assert (after(document).state, document.parser_crashes) == (State.QUEUED, 1)
    run_jobs()
    assert (after(document).state, document.error_code, document.attempt) == (State.FAILED, "parser_crashed", 2)
    assert run_jobs() == []


def test_an_agent_that_is_away_is_tried_again_later(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    agent.faults = [refusal(503, "vendor_unavailable", retryable=True)]
    document = upload(LONG)
    run_jobs()
    assert (after(document).state, document.error_code) == (State.QUEUED, "vendor_unavailable")
    assert document.wake_at is not None
    time.sleep(0.1)
    run_jobs()
    check_whole(after(document), agent)
    assert document.attempt == 2


def test_an_agent_that_stays_away_fails_the_document(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.INGEST_TRIES = 3
    settings.INGEST_RETRY_DELAY = settings.INGEST_RETRY_DELAY / 100
    agent.faults = [refusal(503, "vendor_unavailable", retryable=True)] * 9
    document = upload(b"Short.")
    for _ in range(3):
        run_jobs()
        time.sleep(0.01)
    assert (after(document).state, document.error_code) == (State.FAILED, "vendor_unavailable")
    assert agent.requests["embed"] == 3
    assert "Nothing is wrong with your file" in document.error_hint


def test_a_refusal_for_good_is_not_tried_again(ingested: Upload, agent: FakeAgent) -> None:
    agent.faults = [refusal(400, "embedding_unknown", retryable=False)]
    document = ingested(b"Short.")
    assert (document.state, document.error_code, document.attempt) == (State.FAILED, "embedding_unknown", 1)


@pytest.mark.parametrize("fault", ["cut", Response("<html>", status_code=502)])
def test_an_answer_that_is_none_is_tried_again(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, fault: Response | str
) -> None:
    agent.faults = [fault]
    document = upload(b"Short.")
    run_jobs()
    assert (after(document).state, document.error_code) == (State.QUEUED, "agent_garbage")


def test_a_vector_less_than_chunks_is_never_ready(ingested: Upload, agent: FakeAgent) -> None:
    agent.forgetful = True
    document = ingested(b"Short.")
    assert (document.state, document.error_code, document.version) == (State.QUEUED, "agent_garbage", None)


def test_what_was_stored_before_the_answer_was_lost_is_not_embedded_twice(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.EMBED_BATCH = 2
    agent.faults = ["lost answer"]
    document = upload(LONG)
    run_jobs()
    assert after(document).state == State.QUEUED
    time.sleep(0.1)
    run_jobs()
    check_whole(after(document), agent)


def test_a_later_attempt_goes_on_where_the_last_one_ended(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.EMBED_BATCH = 1
    agent.faults = []
    document = upload(LONG)
    agent.seconds = 0.01
    original = agent._fault

    def fail_late() -> Response | str | None:
        return refusal(503, "vendor_unavailable", retryable=True) if len(agent.embedded) == 4 else original()

    agent._fault = fail_late  # type: ignore[method-assign]  # the double's own switch, set for the fifth request
    run_jobs()
    version = DocumentVersion.objects.get(document=document)
    assert Chunk.objects.filter(version=version, embedded=True).count() >= 4
    agent._fault = original  # type: ignore[method-assign]
    default_storage.delete(document.file)  # the text is not read again
    time.sleep(0.1)
    run_jobs()
    check_whole(after(document), agent)
    assert document.version == version


def test_an_attempt_under_other_settings_begins_anew(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    agent.faults = [refusal(503, "vendor_unavailable", retryable=True)]
    document = upload(LONG)
    run_jobs()
    BotVersion.objects.filter(bot=bot).update(chunk_chars=300)
    time.sleep(0.1)
    run_jobs()
    check_whole(after(document), agent)
    assert document.version is not None
    assert (document.version.number, document.version.chunk_chars) == (2, 300)
    run_jobs()
    assert agent.all_ids() == {chunk.pk for chunk in chunks_of(document)}
    assert not Chunk.objects.exclude(version=document.version).exists()


def test_an_original_that_is_gone_is_named(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = upload(b"Short.")
    default_storage.delete(document.file)
    run_jobs()
    assert (after(document).state, document.error_code) == (State.FAILED, "original_missing")


def test_an_unforeseen_error_is_tried_again_and_says_nothing_of_itself(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = upload(b"Short.")
    Bot.objects.update(version=None)
    run_jobs()
    assert (after(document).state, document.error_code) == (State.QUEUED, "internal_error")
    assert document.error_message == INTERNAL.message


def test_a_document_is_taken_once(upload: Upload, agent: FakeAgent) -> None:
    document = upload(b"Short.")
    assert claims.take() == [Claim(document.pk, 1, document.bot_id, document.bot.owner_id)]
    assert claims.take() == []


def test_a_lease_that_ran_out_is_taken_over_and_the_first_writes_nothing_more(upload: Upload, agent: FakeAgent) -> None:
    document = upload(b"Short.")
    [zombie] = claims.take()
    Document.objects.update(lease_until=Now() - timedelta(minutes=1))
    [successor] = claims.take()
    assert successor.fence == 2
    assert claims.renew([zombie]) == []
    for write in (claims.release, lambda claim: claims.write(claim, state=State.READY)):
        with pytest.raises(LostClaim):
            write(zombie)
    assert after(document).state == State.PROCESSING


def test_it_is_too_early_before_the_time_to_wake(upload: Upload, agent: FakeAgent) -> None:
    document = upload(b"Short.")
    Document.objects.update(wake_at=Now() + timedelta(minutes=1))
    ingestion.ingest()
    assert (after(document).state, document.attempt) == (State.QUEUED, 0)


def test_a_process_that_stops_hands_its_document_back(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = upload(LONG)
    claims.draining.set()
    run_jobs()
    assert (after(document).state, document.lease_until) == (State.QUEUED, None)
    claims.draining.clear()
    assert run_jobs() == [claims.INGEST]
    check_whole(after(document), agent)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_a_heartbeat_keeps_the_lease_of_a_long_stage(upload: Upload, agent: FakeAgent, settings: Settings) -> None:
    settings.INGEST_HEARTBEAT, settings.INGEST_LEASE = settings.INGEST_LEASE / 300, settings.INGEST_LEASE / 60
    upload(b"Short.")
    [claim] = claims.take()
    with Heartbeat(claim) as heartbeat:
        time.sleep(1)
        assert claims.take() == []
        heartbeat.check()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_a_heartbeat_tells_that_the_document_was_deleted(upload: Upload, agent: FakeAgent, settings: Settings) -> None:
    settings.INGEST_HEARTBEAT = settings.INGEST_LEASE / 300
    document = upload(b"Short.")
    [claim] = claims.take()
    with Heartbeat(claim) as heartbeat:
        services.delete_document(document=document)
        time.sleep(0.5)
        with pytest.raises(LostClaim):
            heartbeat.check()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_a_heartbeat_outlives_a_lost_connection(upload: Upload, agent: FakeAgent, settings: Settings) -> None:
    settings.INGEST_HEARTBEAT = settings.INGEST_LEASE / 100
    upload(b"Short.")
    [claim] = claims.take()
    with Heartbeat(claim) as heartbeat:
        time.sleep(0.5)
        cut_all_connections()
        time.sleep(1)
        heartbeat.check()
        before = Document.objects.get().updated_at
        time.sleep(0.5)
        assert Document.objects.get().updated_at > before


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_a_document_deleted_amid_the_embedding_gets_no_further_batch(
    upload: Upload, agent: FakeAgent, settings: Settings
) -> None:
    settings.EMBED_BATCH, agent.seconds = 1, 0.2
    document = upload(LONG)
    worker = threading.Thread(target=_work)
    worker.start()
    while not agent.requests["embed"]:
        time.sleep(0.01)
    services.delete_document(document=document)
    worker.join()
    assert agent.requests["embed"] <= 4
    assert after(document).lease_until is None  # handed over to the erasure


def _work() -> None:
    try:
        ingestion.ingest()
    finally:
        connection.close()
