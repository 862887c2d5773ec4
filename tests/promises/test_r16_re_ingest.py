"""R16: whatever a document was before, its passages are those of a clean build, and no answer mixes two versions."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import threading
from collections.abc import Callable
from hashlib import sha256

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from agent_service.contract import Hit
from backend.bots import services as bots
from backend.bots.models import Bot
from backend.documents import ingestion, services
from backend.documents.models import Chunk, Document, State
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import (
    RunJobs,
    agent,
    agent_server,
    bot,
    empty_queue,
    fresh_process,
    ingested,
    run_jobs,
    upload,
)

Upload = Callable[..., Document]
TEXT = "".join(f"Sentence {number} of a long text. " for number in range(300))
CHANGES = {
    "changed in the middle": TEXT.replace("Sentence 150", "Another sentence"),
    "longer": TEXT + "And one more sentence.",
    "shorter": TEXT[:2000],
    "of one word": "Word.",
}


def passages(document: Document) -> set[tuple[int, str]]:
    chunks = Chunk.objects.filter(document=document).values_list("position", "text")
    return {(position, sha256(text.encode()).hexdigest()) for position, text in chunks}


def clean_build(ingested: Upload, owner_of: Bot, text: str, **configuration: int) -> set[tuple[int, str]]:
    other = bots.create_bot(owner=owner_of.owner, name="Clean", configuration=configuration)
    return passages(ingested(text.encode(), bot=other))


def replace(document: Document, text: str) -> bool:
    return services.replace_document(document=document, file=ContentFile(text.encode()), filename="notes.txt")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.django_db
def test_a_changed_file_is_as_if_it_had_always_been_so(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot, change: str
) -> None:
    document = ingested(TEXT.encode())
    assert replace(document, CHANGES[change])
    run_jobs()
    run_jobs()
    assert passages(document) == clean_build(ingested, bot, CHANGES[change])
    assert agent.all_ids() == set(Chunk.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_the_same_file_again_changes_nothing(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = ingested(TEXT.encode())
    before = dict(agent.embedded)
    assert not replace(document, TEXT)
    assert run_jobs() == []
    assert dict(agent.embedded) == before


@pytest.mark.django_db
def test_the_same_file_read_again_is_as_it_was(ingested: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = ingested(TEXT.encode())
    before = passages(document)
    services.reindex(document=document)
    run_jobs()
    run_jobs()
    assert passages(document) == before


@pytest.mark.django_db
def test_another_size_of_passages_is_as_if_it_had_always_been_so(
    ingested: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    document = ingested(TEXT.encode())
    sizes = {"chunk_chars": 300, "chunk_overlap": 0}
    bots.update_bot(bot=bot, author=bot.owner, changes={}, configuration=sizes)
    for _ in range(3):
        run_jobs()
    assert passages(document) == clean_build(ingested, bot, TEXT, **sizes)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_the_old_version_answers_alone_until_the_new_one_does(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, bot: Bot
) -> None:
    document = upload(TEXT.encode())
    run_jobs()
    replace(document, CHANGES["changed in the middle"])
    agent.seconds = 0.5
    worker = threading.Thread(target=work)
    worker.start()
    seen: list[set[int]] = []
    while worker.is_alive():
        answer = {passage.version_number for passage in services.live_passages(bot=bot, hits=hits(document))}
        seen += [answer] if not seen or seen[-1] != answer else []
    worker.join()
    answer = {passage.version_number for passage in services.live_passages(bot=bot, hits=hits(document))}
    assert seen[0] == {1}
    assert [*seen, answer][-1] == {2}
    assert all(len(versions) == 1 for versions in seen)


def hits(document: Document) -> list[Hit]:
    rows = Chunk.objects.filter(document=document).values_list("pk", "version")
    return [Hit(chunk=pk, document=document.pk, version=version, score=1.0) for pk, version in rows]


def work() -> None:
    try:
        ingestion.ingest()
    finally:
        connection.close()
