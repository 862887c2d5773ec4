"""What a person does to a document at the very moment a worker is at it."""

import threading
from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from pytest_django import Settings

from backend.documents import ingestion, services
from backend.documents.errors import NothingToApprove, NothingToCancel
from backend.documents.models import Chunk, Document, State, VersionState
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue")]

Upload = Callable[..., Document]
OLD = "".join(f"Sentence {number} of the old content. " for number in range(120)).encode()
NEW = "".join(f"Line {number} of the new content. " for number in range(100)).encode()


def at_once(*acts: Callable[[], object]) -> list[threading.Thread]:
    def run(act: Callable[[], object]) -> None:
        try:
            act()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    return threads


def until_embedding(agent: FakeAgent) -> None:
    while not agent.requests["embed"]:
        threading.Event().wait(0.01)


def check_it_is_as_if_it_had_always_been(document: Document, agent: FakeAgent, content: bytes) -> None:
    document.refresh_from_db()
    assert document.state == State.READY
    assert document.version is not None
    assert document.version.state == VersionState.READY
    chunks = Chunk.objects.order_by("position")
    assert {chunk.version_id for chunk in chunks} == {document.version_id}
    assert agent.all_ids() == {chunk.pk for chunk in chunks}
    assert all(chunk.text in content.decode() for chunk in chunks)
    assert chunks[0].text.startswith(content.decode()[:20])
    assert chunks.count() == document.version.chunk_count
    assert {agent.embedded[chunk.pk] for chunk in chunks} == {1}
    assert not document.versions.filter(state=VersionState.BUILDING).exists()


@pytest.mark.parametrize("earlier", [False, True], ids=["the first", "another"])
def test_a_file_replaced_amid_its_embedding_leaves_nothing_of_the_old_content(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings, earlier: bool
) -> None:
    document = upload(OLD)
    if earlier:  # a version that serves meanwhile
        run_jobs()
        agent.requests.clear()
        services.replace_document(document=document, file=ContentFile(OLD + b"And one more."))
    settings.EMBED_BATCH, agent.seconds = 1, 0.3
    workers = at_once(ingestion.ingest)
    until_embedding(agent)
    assert services.replace_document(document=document, file=ContentFile(NEW))
    agent.seconds = 0.0
    workers += at_once(ingestion.ingest)  # another worker takes it up while the first is still sending
    for worker in workers:
        worker.join()
    while run_jobs():
        continue
    check_it_is_as_if_it_had_always_been(document, agent, NEW)


def test_the_worker_itself_goes_on_with_the_new_content(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent, settings: Settings
) -> None:
    settings.EMBED_BATCH = 1
    document = upload(OLD)
    agent.before_embedding = lambda: services.replace_document(document=document, file=ContentFile(NEW))
    while run_jobs():
        continue
    check_it_is_as_if_it_had_always_been(document, agent, NEW)


def test_go_and_no_go_at_once_end_as_one_of_the_two(upload: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    for number in range(5):
        document = upload(f"Content {number}. ".encode() + OLD, review=True)
        run_jobs()
        barrier, said = threading.Barrier(2), []

        def decide(act: Callable[..., Document], refusal: type[Exception]) -> None:
            barrier.wait()  # noqa: B023 - joined before the next round
            try:
                act(document=document)  # noqa: B023
                said.append(act.__name__)  # noqa: B023
            except refusal:
                return

        acts = ((services.approve, NothingToApprove), (services.cancel, NothingToCancel))
        for thread in at_once(*(lambda pair=pair: decide(*pair) for pair in acts)):
            thread.join()
        while run_jobs():
            continue
        document.refresh_from_db()
        assert document.state == (State.CANCELLED if "cancel" in said else State.READY)
    ready = Chunk.objects.filter(document__state=State.READY)
    assert agent.all_ids() == set(ready.values_list("pk", flat=True))
    assert not Chunk.objects.filter(document__state=State.CANCELLED).exists()
