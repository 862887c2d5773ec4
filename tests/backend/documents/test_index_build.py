"""Another embedding for a bot: the new index is filled beside the one that serves, and takes its place in one step."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.db.models.functions import Now
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.bots import indexes
from backend.bots.errors import EmbeddingServes, EmbeddingUnknown, IndexBusy, NoIndexBuild
from backend.bots.indexes import IndexChanged
from backend.bots.models import Bot, BuildState, IndexBuild
from backend.documents import builds, indexing, services, sweeping
from backend.documents.claims import draining
from backend.documents.models import Chunk, Document, DocumentVersion
from backend.users.models import User
from tests.backend.documents.fake_agent import EMBEDDING, OTHER_EMBEDDING, FakeAgent, refusal
from tests.backend.documents.fixtures import RunJobs

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(400)).encode()

pytestmark = pytest.mark.django_db
among_others = pytest.mark.django_db(transaction=True)
"""For what happens in the middle of a request: on another connection, which sees only what is committed."""


@pytest.fixture(autouse=True)
def _small_batches(settings: Settings) -> None:
    settings.EMBED_BATCH = 3


@pytest.fixture
def begun(ingested: Upload, bot: Bot) -> IndexBuild:
    """A document that serves, and a build that waits for a worker."""
    ingested(LONG)
    return begin(bot)


def begin(bot: Bot, embedding: str = OTHER_EMBEDDING) -> IndexBuild:
    """Without its job: the test is the worker."""
    row = indexes.start_build(bot=Bot.objects.get(pk=bot.pk), embedding=embedding)
    assert row is not None
    ProcrastinateJob.objects.filter(task_name=indexes.BUILD)._raw_delete("default")
    return row


def reread(row: IndexBuild) -> IndexBuild:
    return IndexBuild.objects.select_related("bot").get(pk=row.pk)


def ids(**chosen: Any) -> set[Any]:
    return set(Chunk.objects.filter(**chosen).values_list("pk", flat=True))


def check_switched(row: IndexBuild, agent: FakeAgent) -> None:
    row = reread(row)
    assert (row.state, row.done, row.sending, row.lease_until) == ("done", row.total, [], None)
    assert row.bot.index == row.index
    assert set(agent.vectors[row.index.namespace]) == ids(bot=row.bot_id, version__state="ready")
    assert agent.embeddings[row.index.namespace] == {row.embedding}
    versions = DocumentVersion.objects.filter(document__bot=row.bot_id, state="ready")
    assert set(versions.values_list("embedding", "generation")) == {(row.embedding, row.generation)}


def test_the_new_index_has_the_same_passages_and_serves(begun: IndexBuild, agent: FakeAgent) -> None:
    before = ids()
    indexing.build(begun.pk)
    check_switched(begun, agent)
    assert ids() == before
    assert set(agent.vectors[Bot(pk=begun.bot_id).namespace]) == before  # still there, for who reads it at this moment


def test_the_old_index_is_forgotten_when_nobody_can_be_reading_it(
    begun: IndexBuild, agent: FakeAgent, bot: Bot
) -> None:
    indexing.build(begun.pk)
    indexing.forget(begun.pk)
    assert agent.vectors[bot.namespace]
    assert list(indexing.obsolete()) == []
    IndexBuild.objects.update(forget_at=Now())
    assert list(indexing.obsolete()) == [begun.pk]
    indexing.forget(begun.pk)
    assert not agent.vectors[bot.namespace]
    assert agent.vectors[reread(begun).index.namespace]
    assert reread(begun).obsolete is None


@among_others
def test_until_then_the_old_one_serves(begun: IndexBuild, agent: FakeAgent, bot: Bot) -> None:
    seen = []

    def look() -> None:
        index = Bot.objects.get(pk=bot.pk).index
        seen.append((index.embedding, index.generation))
        agent.before_embedding = look

    agent.before_embedding = look
    indexing.build(begun.pk)
    assert set(seen) == {(EMBEDDING, 0)}
    assert Bot.objects.get(pk=bot.pk).embedding == OTHER_EMBEDDING


@among_others
@pytest.mark.parametrize("moment", ["before_embedding", "before_listing"])
def test_a_document_that_comes_meanwhile_is_in_the_new_index_too(
    begun: IndexBuild, agent: FakeAgent, ingested: Upload, bot: Bot, moment: str
) -> None:
    late: list[Document] = []

    def arrive() -> None:
        late.append(ingested(b"A late one."))
        assert Bot.objects.get(pk=bot.pk).generation == 0

    setattr(agent, moment, arrive)
    indexing.build(begun.pk)
    assert [document.state for document in late] == ["ready"]
    check_switched(begun, agent)


def test_a_batch_that_was_stored_is_not_embedded_again(begun: IndexBuild, agent: FakeAgent) -> None:
    agent.faults = ["none", "none", refusal(503, "model_away", retryable=True)]
    agent.embedded.clear()
    indexing.build(begun.pk)
    row = reread(begun)
    assert (row.state, row.error_code, row.failures) == ("building", "model_away", 1)
    IndexBuild.objects.update(wake_at=None)
    indexing.build(begun.pk)
    check_switched(begun, agent)
    assert set(agent.embedded.values()) == {1}
    assert reread(begun).error_code == ""


def test_what_the_agent_refuses_for_good_fails_the_build_and_the_old_one_serves(
    begun: IndexBuild, agent: FakeAgent, bot: Bot, api: APIClient
) -> None:
    agent.faults = [refusal(422, "embedding_unknown", retryable=False)] * 3
    indexing.build(begun.pk)
    shown = api.get(f"/api/v1/bots/{bot.pk}/index/").data
    assert (shown["embedding"], shown["build"]["state"]) == (EMBEDDING, "failed")
    assert (shown["build"]["error"]["code"], shown["build"]["error"]["retry_at"]) == ("embedding_unknown", None)
    assert "serving" in shown["build"]["error"]["hint"]


def test_a_failed_build_goes_on_where_it_stopped(begun: IndexBuild, agent: FakeAgent, bot: Bot) -> None:
    agent.faults = ["none", refusal(422, "model_away", retryable=False)]
    agent.embedded.clear()
    indexing.build(begun.pk)
    assert begin(bot).pk == begun.pk
    indexing.build(begun.pk)
    check_switched(begun, agent)
    assert set(agent.embedded.values()) == {1}


def test_after_too_many_tries_it_has_failed(begun: IndexBuild, agent: FakeAgent, settings: Settings) -> None:
    agent.faults = [refusal(503, "model_away", retryable=True)] * 100
    for _ in range(settings.INGEST_TRIES):
        IndexBuild.objects.update(wake_at=None)
        indexing.build(begun.pk)
    assert reread(begun).state == BuildState.FAILED


@among_others
def test_what_the_store_lost_is_sent_again_before_the_switch(begun: IndexBuild, agent: FakeAgent, bot: Bot) -> None:
    def lose() -> None:
        stored = agent.vectors[begun.index.namespace]
        if len(stored) > 5:
            del stored[next(iter(stored))]
        else:
            agent.before_embedding = lose

    agent.before_embedding = lose
    indexing.build(begun.pk)
    assert Bot.objects.get(pk=bot.pk).embedding == EMBEDDING
    assert "lacks 1 passages" in reread(begun).error_message
    IndexBuild.objects.update(wake_at=None)
    indexing.build(begun.pk)
    check_switched(begun, agent)


@among_others
def test_a_document_deleted_meanwhile_is_in_neither_index(
    begun: IndexBuild, agent: FakeAgent, ingested: Upload, run_jobs: RunJobs
) -> None:
    doomed = ingested(LONG + b"!")
    hidden = []

    def delete() -> None:
        services.delete_document(document=doomed)
        hidden.append(run_jobs())

    agent.before_embedding = delete
    indexing.build(begun.pk)
    assert Document.objects.filter(pk=doomed.pk).exists()  # the erasure waited for what was on its way
    ProcrastinateJob.objects.filter(task_name="documents.erase_document").update(scheduled_at=None)
    run_jobs()
    assert not Document.objects.filter(pk=doomed.pk).exists()
    assert not [vector for vector in agent.stored() if vector.document == doomed.pk]
    check_switched(begun, agent)


def test_a_document_that_is_erased_is_erased_from_both(
    begun: IndexBuild, agent: FakeAgent, run_jobs: RunJobs, bot: Bot
) -> None:
    half_built(begun, agent)
    services.delete_document(document=Document.objects.get())
    run_jobs()
    assert not Document.objects.exists()
    assert agent.all_ids() == set()


def half_built(row: IndexBuild, agent: FakeAgent) -> None:
    agent.faults = ["none", "none", refusal(503, "model_away", retryable=True)]
    indexing.build(row.pk)
    assert agent.vectors[row.index.namespace]


def test_what_a_killed_worker_sent_of_a_document_that_is_gone_is_forgotten(
    begun: IndexBuild, agent: FakeAgent, ingested: Upload, run_jobs: RunJobs
) -> None:
    half_built(begun, agent)
    stray = next(iter(agent.vectors[begun.index.namespace].values()))
    services.delete_document(document=Document.objects.get())
    run_jobs()
    agent.vectors[begun.index.namespace][stray.chunk] = stray  # as if it had arrived now
    ingested(b"Another.")
    IndexBuild.objects.update(wake_at=None)
    indexing.build(begun.pk)
    check_switched(begun, agent)


def test_cancelled_it_is_forgotten_and_the_old_one_serves(
    begun: IndexBuild, agent: FakeAgent, bot: Bot, run_jobs: RunJobs
) -> None:
    half_built(begun, agent)
    indexes.cancel_build(bot=bot)
    run_jobs()
    assert not agent.vectors[begun.index.namespace]
    assert agent.vectors[bot.namespace]
    assert Bot.objects.get(pk=bot.pk).embedding == EMBEDDING
    assert reread(begun).state == "cancelled"


@among_others
def test_a_worker_notices_that_it_was_cancelled(begun: IndexBuild, agent: FakeAgent, bot: Bot) -> None:
    agent.before_embedding = lambda: indexes.cancel_build(bot=bot)
    indexing.build(begun.pk)
    row = reread(begun)
    assert (row.state, row.lease_until, row.sending) == ("cancelled", None, [])
    indexing.forget(begun.pk)
    assert not agent.vectors[begun.index.namespace]


def test_a_cancelled_index_is_looked_at_once_more(begun: IndexBuild, agent: FakeAgent, bot: Bot) -> None:
    half_built(begun, agent)
    stray = next(iter(agent.vectors[begun.index.namespace].values()))
    indexes.cancel_build(bot=bot)
    indexing.forget(begun.pk)
    agent.vectors[begun.index.namespace][stray.chunk] = stray
    job = ProcrastinateJob.objects.get(task_name=indexes.FORGET, scheduled_at__isnull=False)
    indexing.forget(begun.pk, again=job.args["again"])
    assert not agent.vectors[begun.index.namespace]


def test_a_generation_is_never_used_again(begun: IndexBuild, agent: FakeAgent, bot: Bot) -> None:
    indexes.cancel_build(bot=bot)
    row = begin(bot)
    assert (begun.generation, row.generation) == (1, 2)
    indexing.build(row.pk)
    back = begin(bot, EMBEDDING)
    indexing.build(back.pk)
    assert Bot.objects.get(pk=bot.pk).index.namespace == f"bot-{bot.pk.hex}-3"


@among_others
def test_a_version_that_was_begun_before_the_switch_never_serves_after_it(
    begun: IndexBuild, agent: FakeAgent, upload: Upload, run_jobs: RunJobs, bot: Bot
) -> None:
    index = Bot.objects.get(pk=bot.pk).index
    document = upload(b"Under way.")

    agent.before_embedding = lambda: indexing.build(begun.pk)
    run_jobs()
    with pytest.raises(IndexChanged):
        indexes.lock_serving(index)
    run_jobs()
    document.refresh_from_db()
    assert document.state == "ready"
    assert document.version is not None
    assert (document.version.embedding, document.version.generation) == (OTHER_EMBEDDING, 1)
    assert agent.embeddings[bot.namespace] == {EMBEDDING}
    check_switched(begun, agent)


def test_an_index_is_not_forgotten_while_a_worker_may_be_storing_into_it(
    begun: IndexBuild, agent: FakeAgent, upload: Upload, bot: Bot
) -> None:
    indexing.build(begun.pk)
    IndexBuild.objects.update(forget_at=Now())
    document = upload(b"Under way.")
    version = {"sha256": "0" * 64, "chunk_chars": 1, "chunk_overlap": 0, "chunker_version": 1, "normaliser_version": 1}
    counts = {"page_count": 1, "char_count": 1, "chunk_count": 1}
    DocumentVersion.objects.create(document=document, number=1, embedding=EMBEDDING, generation=0, **version, **counts)
    Document.objects.filter(pk=document.pk).update(state="processing", lease_until=Now() + timedelta(minutes=1))
    indexing.forget(begun.pk)
    assert agent.vectors[bot.namespace]
    Document.objects.filter(pk=document.pk).update(lease_until=Now())
    indexing.forget(begun.pk)
    assert not agent.vectors[bot.namespace]


def test_only_one_worker_at_a_time(begun: IndexBuild) -> None:
    assert builds.take(begun.pk) is not None
    assert builds.take(begun.pk) is None
    assert list(builds.unfinished()) == []
    IndexBuild.objects.update(lease_until=Now())
    assert list(builds.unfinished()) == [begun.pk]
    claim = builds.take(begun.pk)
    assert claim is not None
    assert claim.resumed


def test_a_worker_that_is_to_stop_hands_it_back(begun: IndexBuild, agent: FakeAgent) -> None:
    draining.set()
    indexing.build(begun.pk)
    draining.clear()
    row = reread(begun)
    assert (row.state, row.lease_until) == ("building", None)
    indexing.build(begun.pk)
    check_switched(begun, agent)


def test_the_sweeper_reminds_of_what_lies_about(begun: IndexBuild, agent: FakeAgent) -> None:
    ProcrastinateJob.objects.all()._raw_delete("default")
    sweeping.sweep()
    assert ProcrastinateJob.objects.filter(task_name=indexes.BUILD).count() == 1
    indexing.build(begun.pk)
    ProcrastinateJob.objects.all()._raw_delete("default")
    IndexBuild.objects.update(forget_at=Now())
    sweeping.sweep()
    assert set(ProcrastinateJob.objects.values_list("task_name", flat=True)) == {indexes.FORGET}


def test_the_empty_bot_takes_the_embedding_at_once(bot: Bot, agent: FakeAgent) -> None:
    assert indexes.start_build(bot=bot, embedding=OTHER_EMBEDDING) is None
    assert Bot.objects.get(pk=bot.pk).index.embedding == OTHER_EMBEDDING


def test_a_bot_without_passages_switches_too(begun: IndexBuild, agent: FakeAgent, run_jobs: RunJobs) -> None:
    services.delete_document(document=Document.objects.get())
    run_jobs()
    indexing.build(begun.pk)
    assert reread(begun).state == "done"


@pytest.mark.parametrize(
    ("embedding", "error"), [("fake:none:1", EmbeddingUnknown), (EMBEDDING, EmbeddingServes), ("other", IndexBusy)]
)
def test_what_cannot_be_started(begun: IndexBuild, bot: Bot, embedding: str, error: type[Exception]) -> None:
    if embedding == "other":
        IndexBuild.objects.update(embedding="fake:third:2")
        embedding = OTHER_EMBEDDING
    with pytest.raises(error):
        begin(bot, embedding)


def test_nothing_to_cancel(bot: Bot) -> None:
    with pytest.raises(NoIndexBuild):
        indexes.cancel_build(bot=bot)


def test_over_the_api(ingested: Upload, agent: FakeAgent, bot: Bot, api: APIClient, run_jobs: RunJobs) -> None:
    ingested(LONG)
    url = f"/api/v1/bots/{bot.pk}/index/"
    assert [one["id"] for one in api.get(url).data["offered"]] == [EMBEDDING, OTHER_EMBEDDING]
    started = api.post(url, {"embedding": OTHER_EMBEDDING})
    assert (started.status_code, started.data["build"]["state"]) == (HTTPStatus.ACCEPTED, "building")
    assert api.delete(url).status_code == HTTPStatus.NO_CONTENT
    assert api.delete(url).data["code"] == "no_index_build"
    api.post(url, {"embedding": OTHER_EMBEDDING})
    run_jobs()
    shown = api.get(url).data
    assert (shown["embedding"], shown["build"]["state"]) == (OTHER_EMBEDDING, "done")
    assert shown["build"]["done"] == shown["build"]["total"] == Chunk.objects.count()


def test_while_the_agent_is_away_the_state_is_told(
    begun: IndexBuild, bot: Bot, api: APIClient, settings: Settings
) -> None:
    from backend.bots.catalogue import catalogue

    catalogue.forget()
    settings.AGENT_URL = "http://127.0.0.1:9"
    shown = api.get(f"/api/v1/bots/{bot.pk}/index/").data
    assert (shown["offered"], shown["build"]["state"]) == (None, "building")
    indexing.build(begun.pk)
    assert reread(begun).error_code == "agent_unavailable"


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_a_stranger_sees_nothing(bot: Bot, stranger: User, as_user: Callable[[User], APIClient], method: str) -> None:
    Bot.objects.update(visibility="public")
    response = getattr(as_user(stranger), method)(f"/api/v1/bots/{bot.pk}/index/", {"embedding": EMBEDDING})
    assert response.status_code == HTTPStatus.NOT_FOUND


def test_what_another_program_version_made_is_found_and_read_again(
    ingested: Upload, agent: FakeAgent, run_jobs: RunJobs
) -> None:
    document = ingested(LONG)
    assert not indexing.outdated().exists()
    DocumentVersion.objects.update(normaliser_version=0)
    assert list(indexing.outdated()) == [document]
    assert indexing.reindex_outdated() == 1
    run_jobs()
    assert not indexing.outdated().exists()
    document.refresh_from_db()
    assert document.version is not None
    assert (document.state, document.version.number) == ("ready", 2)
