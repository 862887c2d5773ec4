"""Deletion is done when the store answers zero; then files and rows go."""

import time
from collections.abc import Callable

import pytest
from django.core.files.storage import default_storage
from django.db.models.functions import Now
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from agent_service.contract import StoredVector
from backend.agent_client import AgentError
from backend.bots import services as bots
from backend.bots.models import Bot, BotVersion
from backend.conversations.models import Conversation
from backend.documents import claims, erasure, services
from backend.documents.models import Chunk, Document, DocumentVersion, Page, State
from backend.users import services as users
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent, refusal
from tests.backend.documents.fixtures import RunJobs

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(200)).encode()


def left() -> int:
    return sum(model.objects.count() for model in (Document, DocumentVersion, Page, Chunk))


def waiting(name: str) -> int:
    return ProcrastinateJob.objects.filter(task_name=name, status="todo").count()


def test_vectors_file_and_rows_go(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document, other = ingested(LONG), ingested(b"Other.")
    services.delete_document(document=document)
    run_jobs()
    assert list(Document.objects.all()) == [other]
    assert not default_storage.exists(document.file)
    assert agent.all_ids() == set(Chunk.objects.values_list("pk", flat=True))


def test_it_is_looked_at_once_more_much_later(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = ingested(LONG)
    services.delete_document(document=document)
    run_jobs()
    job = ProcrastinateJob.objects.get(task_name=claims.CONFIRM)
    late = document.pk
    stray = StoredVector(chunk=late, document=document.pk, version=document.pk)
    agent.vectors[document.bot.namespace][late] = stray
    erasure.confirm_erasure(bot_id=document.bot_id, owner_id=document.bot.owner_id, document_id=document.pk)
    assert job.scheduled_at is not None
    assert not agent.all_ids()


@pytest.mark.parametrize("trouble", ["stubborn", "away"])
def test_rows_stay_until_the_store_answers_zero(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, trouble: str
) -> None:
    document = ingested(LONG)
    if trouble == "stubborn":
        agent.stubborn = 1
    else:
        agent.faults = [refusal(503, "vectors_away", retryable=True)]
    services.delete_document(document=document)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.failures) == (State.DELETING, 1)
    assert default_storage.exists(document.file)
    time.sleep(0.1)
    run_jobs()
    assert (left(), agent.all_ids()) == (0, set())


def test_it_waits_for_a_worker_that_may_still_send(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.INGEST_HEARTBEAT = settings.INGEST_HEARTBEAT / 100
    document = upload(LONG)
    [claim] = claims.take()
    services.delete_document(document=document)
    run_jobs()
    assert left() == 1
    claims.withdraw(claim)
    run_jobs()
    assert left() == 0


def test_a_worker_that_slept_through_the_erasure_has_what_it_sent_erased(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = upload(LONG)
    [claim] = claims.take()
    services.delete_document(document=document)
    Document.objects.update(lease_until=None)
    run_jobs()
    stray = StoredVector(chunk=document.pk, document=document.pk, version=document.pk)
    agent.vectors[document.bot.namespace][document.pk] = stray
    claims.withdraw(claim)
    assert run_jobs() == [claims.CONFIRM]
    assert not agent.all_ids()


def test_a_lease_that_runs_out_is_waited_for_no_longer(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = upload(LONG)
    claims.take()
    services.delete_document(document=document)
    Document.objects.update(lease_until=Now())
    run_jobs()
    assert left() == 0


def test_a_repeat_finds_nothing_to_do(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot) -> None:
    document = ingested(LONG)
    services.delete_document(document=document)
    services.delete_document(document=document)
    assert waiting(claims.ERASE) == 1
    run_jobs()
    erasure.erase_document(document.pk)
    assert erasure.erase_bot(document.pk)
    erasure.erase_user(document.pk)
    assert erasure.erase_bot(bot.pk)  # not marked deleted: not touched
    assert Bot.objects.filter(pk=bot.pk).exists()


def test_a_bot_goes_with_all_it_knew(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot) -> None:
    ingested(LONG)
    other = ingested(LONG, bot=bots.create_bot(owner=bot.owner, name="Other"))
    bots.delete_bot(bot=bot)
    run_jobs()
    assert not Bot.objects.filter(pk=bot.pk).exists()
    assert not BotVersion.objects.filter(bot_id=bot.pk).exists()
    assert agent.all_ids() == set(Chunk.objects.filter(document=other).values_list("pk", flat=True))


def test_a_bot_waits_for_its_workers_and_for_the_store(
    ingested: Upload, upload: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    ingested(LONG)
    upload(b"Under way.")
    claims.take()
    bots.delete_bot(bot=bot)
    run_jobs()
    assert Document.objects.filter(state=State.DELETING).count() == 2
    Document.objects.update(lease_until=None)
    agent.stubborn = 1
    with pytest.raises(AgentError):
        erasure.erase_bot(bot.pk)
    assert Bot.objects.filter(pk=bot.pk).exists()
    assert erasure.erase_bot(bot.pk)
    assert (left(), agent.all_ids()) == (0, set())


def test_an_account_goes_with_its_bots_and_conversations(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot, owner: User, stranger: User
) -> None:
    document = ingested(LONG)
    public = bots.create_bot(owner=stranger, name="Public", visibility="public")
    Conversation.objects.create(user=owner, bot=public)
    users.delete_account(user=owner)
    run_jobs()
    assert not User.objects.filter(pk=owner.pk).exists()
    assert not Conversation.objects.exists()
    assert Bot.objects.get() == public
    assert (left(), agent.all_ids(), default_storage.exists(document.file)) == (0, set(), False)


def test_an_account_waits_for_the_work_on_its_documents(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, owner: User
) -> None:
    upload(b"Under way.")
    claims.take()
    users.delete_account(user=owner)
    run_jobs()
    assert User.objects.filter(pk=owner.pk).exists()
    assert waiting(erasure.ERASE_USER) == 1
    Document.objects.update(lease_until=None)
    erasure.erase_user(owner.pk)
    assert not User.objects.filter(pk=owner.pk).exists()
