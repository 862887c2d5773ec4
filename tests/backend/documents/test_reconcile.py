import os
from collections.abc import Callable
from io import StringIO
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from agent_service.contract import StoredVector
from backend.bots.models import Bot
from backend.documents import services
from backend.documents.models import Chunk, Document
from tests.backend.documents.fake_agent import FakeAgent, refusal

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


def test_a_row_without_file_is_told_and_cannot_be_repaired(ingested: Upload, agent: FakeAgent) -> None:
    document = ingested(b"Short.")
    default_storage.delete(document.file)
    assert f"row without file: {document.pk}: not repaired" in run()


def test_vectors_without_chunk_are_found_and_deleted(ingested: Upload, agent: FakeAgent, bot: Bot) -> None:
    ingested(b"Short.")
    stray = StoredVector(chunk=uuid4(), document=uuid4(), version=uuid4())
    agent.vectors[bot.namespace][stray.chunk] = stray
    assert f"vectors without chunk: bot {bot.pk} version {stray.version}: found" in run("--check")
    assert "deleted" in run()
    assert "agree" in run("--check")


def test_a_stray_in_a_serving_version_is_told_but_the_version_is_kept(
    ingested: Upload, agent: FakeAgent, bot: Bot
) -> None:
    document = ingested(b"Short.")
    assert document.version is not None
    stray = StoredVector(chunk=uuid4(), document=document.pk, version=document.version.pk)
    agent.vectors[bot.namespace][stray.chunk] = stray
    assert "not repaired" in run()
    assert Chunk.objects.get().pk in agent.all_ids()


def test_chunks_without_vector_are_found_and_embedded(ingested: Upload, agent: FakeAgent, bot: Bot) -> None:
    document = ingested(LONG)
    for pk in list(agent.all_ids())[:3]:
        del agent.vectors[bot.namespace][pk]
    assert document.version is not None
    assert f"chunks without vector: bot {bot.pk} version {document.version.pk}: 3 chunks: found" in run("--check")
    assert "embedded" in run()
    assert "agree" in run("--check")


def test_an_agent_that_is_away_is_an_error(bot: Bot, agent: FakeAgent) -> None:
    agent.faults = [refusal(503, "vectors_away", retryable=True)]
    assert "failed: The agent service could not be asked" in run("--check")


def test_a_vector_that_is_not_complete_is_stored_again(ingested: Upload, agent: FakeAgent, bot: Bot) -> None:
    ingested(b"Short.")
    ((pk, vector),) = agent.vectors[bot.namespace].items()
    agent.vectors[bot.namespace][pk] = vector.model_copy(update={"complete": False})
    assert "1 chunks: embedded" in run()
    assert "agree" in run("--check")
