import os
from collections.abc import Callable
from io import StringIO
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from pytest_django import Settings

from agent_service.contract import Hit, StoredVector
from backend.bots import indexes
from backend.bots import services as bots
from backend.bots.models import Bot
from backend.documents import erasure, indexing, services
from backend.documents.models import Chunk, Document
from backend.documents.passages import live_passages
from tests.backend.documents.fake_agent import OTHER_EMBEDDING, FakeAgent, refusal

Upload = Callable[..., Document]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(2000)).encode()


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_storage")]


def run(*arguments: str) -> str:
    out = StringIO()
    try:
        call_command("reconcile", *arguments, stdout=out)
    except CommandError as exc:
        out.write(f"failed: {exc}")
    return out.getvalue()


def test_nothing_differs(ingested: Upload, agent: FakeAgent) -> None:
    ingested(LONG)
    services.reindex(document=ingested(LONG + b"!"))
    assert run("--check") == "Rows, files and vectors agree.\n"


def test_a_file_without_row_is_found_and_deleted(agent: FakeAgent) -> None:
    default_storage.save("documents/stray", ContentFile(b"x"))
    os.utime(default_storage.path("documents/stray"), (0, 0))
    assert "file without row: documents/stray: found\nfailed: 1 differences" in run("--check")
    assert "deleted" in run()
    assert "agree" in run("--check")


def test_a_young_file_may_belong_to_an_upload(agent: FakeAgent) -> None:
    default_storage.save("documents/young", ContentFile(b"x"))
    assert "agree" in run()


def test_a_document_without_its_file_answers_on_and_its_owner_is_told(ingested: Upload, agent: FakeAgent) -> None:
    document = ingested(b"Short.")
    default_storage.delete(document.file)
    assert f"row without file: {document.pk}: found" in run("--check")
    assert f"row without file: {document.pk}: marked as failed" in run()
    document.refresh_from_db()
    assert (document.state, document.error_code) == ("failed", "original_missing")
    assert live_passages(bot=document.bot, hits=hits(agent))
    assert "agree" in run("--check")


def test_vectors_without_chunk_are_found_and_deleted(ingested: Upload, agent: FakeAgent, bot: Bot) -> None:
    ingested(b"Short.")
    stray = StoredVector(chunk=uuid4(), document=uuid4(), version=uuid4())
    agent.vectors[bot.namespace][stray.chunk] = stray
    assert f"vectors without chunk: bot {bot.pk} version {stray.version}: found" in run("--check")
    assert "deleted" in run()
    assert "agree" in run("--check")


def test_a_stray_in_a_serving_version_is_deleted_and_the_version_is_kept(
    ingested: Upload, agent: FakeAgent, bot: Bot
) -> None:
    document = ingested(b"Short.")
    assert document.version is not None
    stray = StoredVector(chunk=uuid4(), document=document.pk, version=document.version.pk)
    agent.vectors[bot.namespace][stray.chunk] = stray
    assert "vectors without chunk" in run()
    assert agent.all_ids() == {Chunk.objects.get().pk}
    assert "agree" in run("--check")


def test_chunks_without_vector_are_found_and_embedded(ingested: Upload, agent: FakeAgent, bot: Bot) -> None:
    document = ingested(LONG)
    for pk in list(agent.all_ids())[:3]:
        del agent.vectors[bot.namespace][pk]
    assert document.version is not None
    assert f"chunks without vector: bot {bot.pk} version {document.version.pk}: 3 chunks: found" in run("--check")
    assert "embedded" in run()
    assert "agree" in run("--check")


def hits(agent: FakeAgent) -> list[Hit]:
    return [Hit(chunk=one.chunk, document=one.document, version=one.version, score=1) for one in agent.stored()]


def plant(agent: FakeAgent, namespace: str) -> None:
    stray = StoredVector(chunk=uuid4(), document=uuid4(), version=uuid4())
    agent.vectors[namespace][stray.chunk] = stray


def test_the_namespace_of_an_erased_bot_is_found_and_deleted(agent: FakeAgent, bot: Bot) -> None:
    bots.delete_bot(bot=bot)
    erasure.erase_bot(bot.pk)
    plant(agent, bot.namespace)
    plant(agent, f"{bot.namespace}-2")
    assert f"namespace of nobody: {bot.namespace}-2: found" in run("--check")
    assert f"namespace of nobody: {bot.namespace}: deleted" in run()
    assert "agree" in run("--check")
    assert agent.stored() == []


def test_a_generation_that_is_no_more_is_found_and_deleted(ingested: Upload, agent: FakeAgent, bot: Bot) -> None:
    ingested(b"Short.")
    plant(agent, f"{bot.namespace}-7")
    assert f"namespace of nobody: {bot.namespace}-7: deleted" in run()
    assert "agree" in run("--check")
    assert len(agent.stored()) == 1


def test_an_index_that_is_being_built_or_will_be_forgotten_is_no_difference(
    ingested: Upload, agent: FakeAgent, bot: Bot
) -> None:
    ingested(LONG)
    build = indexes.start_build(bot=Bot.objects.get(pk=bot.pk), embedding=OTHER_EMBEDDING)
    assert build is not None
    agent.vectors[build.index.namespace] = dict(list(agent.vectors[bot.namespace].items())[:3])
    assert "agree" in run("--check")
    indexing.build(build.pk)
    assert "agree" in run("--check")


def test_what_a_build_left_behind_of_a_document_that_is_gone_is_found_and_deleted(
    ingested: Upload, agent: FakeAgent, bot: Bot
) -> None:
    ingested(b"Short.")
    build = indexes.start_build(bot=Bot.objects.get(pk=bot.pk), embedding=OTHER_EMBEDDING)
    assert build is not None
    plant(agent, build.index.namespace)
    assert "vectors without chunk" in run()
    assert "agree" in run("--check")


def test_the_namespace_of_an_unknown_bot_may_be_another_deployments(agent: FakeAgent) -> None:
    name = f"bot-{uuid4().hex}"
    plant(agent, name)
    plant(agent, "somebody-elses")
    assert f"namespace of an unknown bot: {name}: not repaired\nfailed: 1 differences" in run()
    assert f"namespace of an unknown bot: {name}: deleted" in run("--delete-unknown")
    assert list(filter(None, agent.vectors["somebody-elses"]))
    assert "agree" in run("--check")


def test_a_storage_that_is_away_is_an_error(agent: FakeAgent, settings: Settings) -> None:
    options = {"bucket_name": "b", "endpoint_url": "http://127.0.0.1:9", "access_key": "a", "secret_key": "s"}
    backend = "backend.documents.object_storage.ObjectStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    assert "failed: The storage of files does not answer" in run("--check")


def test_an_agent_that_is_away_is_an_error(bot: Bot, agent: FakeAgent) -> None:
    agent.faults = [refusal(503, "vectors_away", retryable=True)]
    assert "failed: The agent service could not be asked" in run("--check")


def test_a_vector_that_is_not_complete_is_stored_again(ingested: Upload, agent: FakeAgent, bot: Bot) -> None:
    ingested(b"Short.")
    ((pk, vector),) = agent.vectors[bot.namespace].items()
    agent.vectors[bot.namespace][pk] = vector.model_copy(update={"complete": False})
    assert "1 chunks: embedded" in run()
    assert "agree" in run("--check")
