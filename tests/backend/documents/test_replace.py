"""A document whose content changes, and one that is switched off."""

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from agent_service.contract import Hit
from backend.documents import claims, services
from backend.documents.errors import DocumentNotFound, DuplicateDocument, EmptyFile, UnsupportedType
from backend.documents.models import Chunk, Document, Kind, State, VersionState
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs, stored_files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_storage")]

Ingested = Callable[..., Document]
Upload = Callable[..., Document]


def replaced(document: Document, content: bytes, **fields: str) -> bool:
    return services.replace_document(document=document, file=ContentFile(content), **fields)


def served(document: Document) -> list[str]:
    """What answers are made from at this moment."""
    hits = [
        Hit(chunk=chunk.pk, document=chunk.document_id, version=chunk.version_id, score=1.0)
        for chunk in Chunk.objects.filter(document=document)
    ]
    return [passage.text for passage in services.live_passages(bot=document.bot, hits=hits)]


def test_new_content_serves_once_it_is_whole_and_the_old_until_then(
    ingested: Ingested, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = ingested(b"The old price is 5.")
    assert replaced(document, b"The new price is 6.", title="Prices")
    assert (document.state, document.title, served(document)) == (State.QUEUED, "Prices", ["The old price is 5."])
    run_jobs()
    document.refresh_from_db()
    assert (document.state, served(document)) == (State.READY, ["The new price is 6."])
    assert [*document.versions.order_by("number").values_list("state", flat=True)] == [
        VersionState.RETIRED,
        VersionState.READY,
    ]


def test_the_same_content_changes_nothing(ingested: Ingested, agent: FakeAgent) -> None:
    document = ingested(b"The price is 5.")
    before = stored_files()
    assert not replaced(document, b"The price is 5.", title="Other")
    document.refresh_from_db()
    assert (document.state, document.title, stored_files()) == (State.READY, "notes", before)


def test_the_file_of_before_goes_once_the_new_one_is_certain(
    upload: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = upload(b"Old.")
    old = document.file
    with transaction.atomic():
        replaced(document, b"New.")
        transaction.set_rollback(True)
    run_jobs()
    document.refresh_from_db()
    assert default_storage.exists(old)
    assert replaced(document, b"Newer.")
    run_jobs()
    assert not default_storage.exists(old)
    with services.open_original(document=document) as file:
        assert file.read() == b"Newer."


def test_whoever_reads_the_content_of_before_writes_no_more(upload: Upload) -> None:
    document = upload(b"Old.")
    [claim] = claims.take()
    assert replaced(document, b"New.")
    with pytest.raises(claims.LostClaim):
        claims.write(claim, state=State.READY)


@pytest.mark.parametrize(
    ("content", "filename", "error"),
    [
        (b"", "", EmptyFile),
        (b"Second.", "", DuplicateDocument),
        (b"not a pdf", "a.pdf", UnsupportedType),
    ],
    ids=["empty", "duplicate", "type"],
)
def test_what_cannot_replace_is_refused_and_changes_nothing(
    upload: Upload, content: bytes, filename: str, error: type[Exception]
) -> None:
    document = upload(b"First.")
    upload(b"Second.", "second.txt")
    before = stored_files()
    with pytest.raises(error):
        replaced(document, content, filename=filename)
    assert sorted(stored_files()) == sorted(before)


def test_a_document_that_is_being_deleted_is_not_replaced(upload: Upload) -> None:
    document = upload(b"First.")
    services.delete_document(document=document)
    with pytest.raises(DocumentNotFound):
        replaced(document, b"Second.")
    assert len(stored_files()) == 1


def test_what_we_wrote_ourselves_keeps_its_format(upload: Upload) -> None:
    document = upload(
        b"First.", "Posts 1 to 200", kind=Kind.TELEGRAM, format_name="text", link="https://t.me/a", review=True
    )
    assert (document.kind, document.link, document.review) == (Kind.TELEGRAM, "https://t.me/a", True)
    assert replaced(document, b"Second.", title="Posts 1 to 201")
    assert (document.format, document.title, document.filename) == ("text", "Posts 1 to 201", "Posts 1 to 200")


def test_a_document_that_is_switched_off_answers_nothing(ingested: Ingested, agent: FakeAgent) -> None:
    document = ingested(b"The price is 5.")
    rows = Document.objects.filter(pk=document.pk)
    assert services.set_enabled(documents_queryset=rows, enabled=False) == 1
    assert services.set_enabled(documents_queryset=rows, enabled=False) == 0
    assert served(document) == []
    services.set_enabled(documents_queryset=rows, enabled=True)
    assert served(document) == ["The price is 5."]
    Chunk.objects.filter(document=document).update(enabled=False)
    assert served(document) == []
