"""R16: a new version is built beside the old one, which serves until it is whole."""

import time
from collections.abc import Callable

import pytest

from agent_service.contract import Hit
from backend.bots import services as bots
from backend.bots.models import Bot
from backend.documents import claims, services
from backend.documents.batches import Batch
from backend.documents.errors import DocumentBusy, DocumentNotFound, NothingToRetry
from backend.documents.models import Chunk, Document, DocumentVersion, State, VersionState
from backend.documents.serving import serve
from tests.backend.documents.fake_agent import FakeAgent, refusal
from tests.backend.documents.fixtures import RunJobs

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(200)).encode()


def serving(document: Document) -> set[object]:
    document.refresh_from_db()
    return set(Chunk.objects.filter(version=document.version).values_list("pk", flat=True))


def hits(document: Document) -> list[Hit]:
    rows = Chunk.objects.filter(document=document)
    return [Hit(chunk=row.pk, document=document.pk, version=row.version_id, score=1.0) for row in rows]


def test_the_old_version_serves_until_the_new_one_is_whole(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    document = ingested(LONG)
    old, chunks = document.version, serving(document)
    agent.faults = [refusal(503, "vendor_unavailable", retryable=True)]
    services.reindex(document=document)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.version) == (State.QUEUED, old)
    assert {passage.chunk_id for passage in services.live_passages(bot=bot, hits=hits(document))} == chunks
    time.sleep(0.1)
    run_jobs()
    assert serving(document).isdisjoint(chunks)
    passages = services.live_passages(bot=bot, hits=hits(document))
    assert {passage.version_number for passage in passages} == {2}


def test_a_retired_version_loses_its_vectors_and_keeps_its_pages(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = ingested(LONG)
    old = document.version
    assert old is not None
    services.reindex(document=document)
    run_jobs()
    run_jobs()
    assert agent.all_ids() == serving(document)
    assert not Chunk.objects.filter(version=old).exists()
    assert services.page_text(version_id=old.pk, page=1) == LONG.decode()
    assert DocumentVersion.objects.get(pk=old.pk).state == VersionState.RETIRED


def test_read_again_unchanged_gives_the_same_chunks(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = ingested(LONG)
    before = list(Chunk.objects.filter(version=document.version).values_list("position", "page", "start", "text"))
    services.reindex(document=document)
    run_jobs()
    document.refresh_from_db()
    assert before == list(
        Chunk.objects.filter(version=document.version).values_list("position", "page", "start", "text")
    )


def test_new_chunk_settings_read_all_documents_again(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    documents = [ingested(LONG + bytes([65 + number])) for number in range(2)]
    bots.update_bot(bot=bot, author=bot.owner, changes={}, configuration={"chunk_chars": 200, "chunk_overlap": 0})
    assert run_jobs() == ["documents.reindex_bot"]
    run_jobs()
    for document in documents:
        document.refresh_from_db()
        assert document.version is not None
        assert (document.state, document.version.number, document.version.chunk_chars) == (State.READY, 2, 200)


def test_settings_that_change_amid_the_work_are_seen_to_at_its_end(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    agent.faults = [refusal(503, "vendor_unavailable", retryable=True)]
    document = upload(LONG)
    run_jobs()
    version = DocumentVersion.objects.get(document=document)
    DocumentVersion.objects.filter(pk=version.pk).update(state=VersionState.BUILDING)
    Document.objects.update(wake_at=None)
    [claim] = claims.take()
    Chunk.objects.update(embedded=True)
    bots.update_bot(bot=bot, author=bot.owner, changes={}, configuration={"chunk_chars": 200, "chunk_overlap": 0})
    serve(Batch([claim]), {document.pk: version}, Bot.objects.get().index)
    document.refresh_from_db()
    assert (document.state, document.version) == (State.QUEUED, version)
    run_jobs()
    document.refresh_from_db()
    assert document.version is not None
    assert (document.state, document.version.chunk_chars) == (State.READY, 200)


def test_a_failed_reindex_leaves_the_old_version_serving(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    document = ingested(LONG)
    chunks = serving(document)
    agent.faults = [refusal(400, "embedding_unknown", retryable=False)]
    services.reindex(document=document)
    run_jobs()
    document.refresh_from_db()
    assert document.state == State.FAILED
    assert {passage.chunk_id for passage in services.live_passages(bot=bot, hits=hits(document))} == chunks


def test_a_failed_document_can_be_retried_and_a_waiting_one_need_not_wait(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    agent.faults = [refusal(400, "embedding_unknown", retryable=False), refusal(503, "away", retryable=True)]
    document = upload(b"Short.")
    run_jobs()
    services.retry(document=document)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.error_code) == (State.QUEUED, "away")
    services.retry(document=document)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.attempt) == (State.READY, 1)
    with pytest.raises(NothingToRetry):
        services.retry(document=document)


def test_a_document_under_way_is_not_disturbed(upload: Upload, agent: FakeAgent, bot: Bot) -> None:
    document = upload(b"Short.")
    with pytest.raises(DocumentBusy):
        services.reindex(document=document)
    services.reindex_bot(bot=bot)
    document.refresh_from_db()
    assert document.attempt == 0


def test_passages_are_only_of_this_bot_live_and_serving(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    other = bots.create_bot(owner=bot.owner, name="Other")
    mine, theirs = ingested(LONG), ingested(LONG, bot=other)
    found = hits(theirs) + hits(mine)[::-1]
    passages = services.live_passages(bot=bot, hits=found)
    assert [passage.chunk_id for passage in passages] == [hit.chunk for hit in hits(mine)[::-1]]
    first = passages[0]
    page = services.page_text(version_id=first.version_id, page=first.page)
    assert page[first.start : first.end] == first.text
    services.delete_document(document=mine)
    assert services.live_passages(bot=bot, hits=found) == []
    with pytest.raises(DocumentNotFound):
        services.page_text(version_id=first.version_id, page=first.page)


def test_passages_take_one_query(
    ingested: Upload, agent: FakeAgent, bot: Bot, django_assert_num_queries: Callable[..., object]
) -> None:
    found = hits(ingested(LONG))
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        assert len(services.live_passages(bot=bot, hits=found)) == len(found)
