"""PATCH /api/v1/documents/{id}/chunks/{id}/, and what becomes of a correction when the document is read anew."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from agent_service.contract import Hit
from backend.agent_client import AgentError
from backend.documents import claims, corrections, reconciling, services
from backend.documents.models import Chunk, Correction, Document, DocumentVersion, Page, State, VersionState
from tests.backend.documents.fake_agent import FakeAgent, refusal
from tests.backend.documents.fixtures import RunJobs
from tests.backend.documents.samples import pdf

Ingested = Callable[..., Document]
CAPITAL, EDITED = "The capital is Bonn.", "The capital is Berlin."


@pytest.fixture
def document(ingested: Ingested) -> Document:
    return ingested(pdf([CAPITAL, "The river is the Rhine."]), "a.pdf")


def served(document: Document) -> set[str]:
    """What answers are made from at this moment."""
    hits = [
        Hit(chunk=chunk.pk, document=chunk.document_id, version=chunk.version_id, score=1.0)
        for chunk in Chunk.objects.filter(document=document, embedded=True)
    ]
    return {passage.text for passage in services.live_passages(bot=document.bot, hits=hits)}


def passage(document: Document, text: str = CAPITAL) -> Chunk:
    document.refresh_from_db()
    return Chunk.objects.get(version=document.version, text=text)


def change(api: APIClient, chunk: Chunk, **fields: Any) -> Any:
    return api.patch(f"/api/v1/documents/{chunk.document_id}/chunks/{chunk.pk}/", fields)


def listed(api: APIClient, document: Document, what: str) -> Any:
    return api.get(f"/api/v1/documents/{document.pk}/{what}/").json()["results"]


def test_an_edited_passage_takes_the_place_of_the_one_that_was_read_once_it_is_searchable(
    api: APIClient, document: Document, run_jobs: RunJobs
) -> None:
    response = change(api, passage(document), text=EDITED)
    assert response.status_code == HTTPStatus.OK
    assert (response.data["text"], response.data["embedded"], response.data["page_label"]) == (
        EDITED, False, "Page 1, edited",
    )  # fmt: skip
    assert served(document) == {CAPITAL, "The river is the Rhine."}
    run_jobs()
    assert served(document) == {EDITED, "The river is the Rhine."}


def test_a_citation_of_either_passage_opens_its_own_text(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    change(api, passage(document), text=EDITED)
    run_jobs()
    for text in (CAPITAL, EDITED):
        chunk = passage(document, text)
        assert services.page_text(version_id=chunk.version_id, page=chunk.page)[chunk.start : chunk.end] == text


def test_both_are_listed_and_name_their_correction(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    change(api, passage(document), text=EDITED)
    run_jobs()
    [correction] = listed(api, document, "corrections")
    assert (correction["original"], correction["text"], correction["found"]) == (CAPITAL, EDITED, True)
    shown = {row["text"]: (row["enabled"], row["correction"]) for row in listed(api, document, "chunks")}
    assert shown == {
        CAPITAL: (False, correction["id"]),
        "The river is the Rhine.": (True, None),
        EDITED: (True, correction["id"]),
    }
    document.refresh_from_db()
    assert document.version is not None
    assert document.version.chunk_count == Chunk.objects.filter(version=document.version, embedded=True).count() == 3


def test_an_edit_is_edited_again(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    for text in (EDITED, "The capital is Berlin since 1990."):
        change(api, passage(document) if text == EDITED else passage(document, EDITED), text=text)
        run_jobs()
    assert served(document) == {"The capital is Berlin since 1990.", "The river is the Rhine."}
    assert EDITED not in {row["text"] for row in listed(api, document, "chunks")}
    assert [row["original"] for row in listed(api, document, "corrections")] == [CAPITAL]
    change(api, passage(document, "The capital is Berlin since 1990."), text=EDITED)
    run_jobs()
    assert EDITED in served(document)


def test_a_passage_is_switched_off_at_once_and_on_again(api: APIClient, document: Document) -> None:
    assert change(api, passage(document), enabled=False).data["enabled"] is False
    assert served(document) == {"The river is the Rhine."}
    assert change(api, passage(document), enabled=True).data["enabled"] is True
    assert served(document) == {CAPITAL, "The river is the Rhine."}
    assert listed(api, document, "corrections") == []


def test_an_edit_is_taken_back_at_once(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    change(api, passage(document), text=EDITED)
    run_jobs()
    [correction] = listed(api, document, "corrections")
    url = f"/api/v1/documents/{document.pk}/corrections/{correction['id']}/"
    assert api.delete(url).status_code == HTTPStatus.NO_CONTENT
    assert served(document) == {CAPITAL, "The river is the Rhine."}
    assert api.delete(url).status_code == HTTPStatus.NOT_FOUND


def test_the_text_that_was_read_takes_an_edit_back(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    change(api, passage(document), text=EDITED)
    run_jobs()
    assert change(api, passage(document, EDITED), text=CAPITAL).data["text"] == CAPITAL
    assert CAPITAL in served(document)
    assert not Correction.objects.exists()


def test_an_edit_that_is_taken_back_before_it_is_searchable_never_answers(
    api: APIClient, document: Document, run_jobs: RunJobs
) -> None:
    change(api, passage(document), text=EDITED)
    change(api, passage(document), text=CAPITAL)
    run_jobs()
    assert served(document) == {CAPITAL, "The river is the Rhine."}


def test_an_edited_passage_that_is_switched_off_and_edited_as_before_answers(
    api: APIClient, document: Document, run_jobs: RunJobs
) -> None:
    change(api, passage(document), text=EDITED)
    run_jobs()
    change(api, passage(document, EDITED), enabled=False)
    assert served(document) == {"The river is the Rhine."}
    change(api, passage(document), text=EDITED)
    assert served(document) == {EDITED, "The river is the Rhine."}


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"text": " \n"}, "no_text"), ({"text": ""}, "invalid"), ({}, "invalid"), ({"text": "x" * 8001}, "invalid"),
     ({"text": "x", "enabled": True}, "invalid")],
    ids=["blank", "empty", "nothing", "long", "both"],
)  # fmt: skip
def test_what_is_no_correction_is_refused(
    api: APIClient, document: Document, fields: dict[str, Any], code: str
) -> None:
    response = change(api, passage(document), **fields)
    assert (response.status_code, response.data["code"]) == (HTTPStatus.BAD_REQUEST, code)
    assert not Correction.objects.exists()


def test_a_passage_of_what_no_longer_serves_is_not_found(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    old = passage(document)
    services.reindex(document=document)
    claims.wake(document.pk)
    run_jobs()
    assert change(api, old, text=EDITED).status_code == HTTPStatus.NOT_FOUND


def test_corrections_are_found_again_in_new_content(
    api: APIClient, document: Document, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    change(api, passage(document), text=EDITED)
    change(api, passage(document, "The river is the Rhine."), enabled=False)
    run_jobs()
    content = ContentFile(pdf([CAPITAL, "The river is the Rhine.", "The forest is black."]))
    services.replace_document(document=document, file=content)
    run_jobs()
    assert served(document) == {EDITED, "The forest is black."}
    document.refresh_from_db()
    assert document.version is not None
    assert (document.version.number, document.version.chunk_count, document.chunks_total) == (2, 4, 4)
    assert max(agent.embedded.values()) == 1


def test_a_correction_whose_passage_is_gone_is_told_and_waits(
    api: APIClient, document: Document, run_jobs: RunJobs
) -> None:
    change(api, passage(document), text=EDITED)
    services.replace_document(document=document, file=ContentFile(pdf(["All is new."])))
    run_jobs()
    assert [row["found"] for row in listed(api, document, "corrections")] == [False]
    assert served(document) == {"All is new."}
    services.replace_document(document=document, file=ContentFile(pdf([CAPITAL])))
    run_jobs()
    assert served(document) == {EDITED}


def test_a_passage_that_stands_there_twice_is_corrected_everywhere(
    api: APIClient, ingested: Ingested, run_jobs: RunJobs
) -> None:
    document = ingested(pdf([CAPITAL, CAPITAL]), "twice.pdf")
    first = Chunk.objects.filter(document=document).earliest("position")
    change(api, first, text=EDITED)
    run_jobs()
    assert served(document) == {EDITED}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_what_is_corrected_while_a_new_version_is_built_is_in_it(
    api: APIClient, document: Document, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    """The edit comes when the new version was read already, and is being embedded."""
    services.reindex(document=document)

    def meanwhile() -> None:
        change(api, passage(document), text=EDITED)
        change(api, passage(document, "The river is the Rhine."), enabled=False)

    agent.before_embedding = meanwhile
    run_jobs()
    run_jobs()
    document.refresh_from_db()
    assert document.version is not None
    assert (document.version.number, served(document)) == (2, {EDITED})


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_what_is_taken_back_while_a_new_version_is_built_is_not_in_it(
    api: APIClient, document: Document, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    change(api, passage(document), text=EDITED)
    run_jobs()
    services.reindex(document=document)

    def meanwhile() -> None:
        change(api, passage(document, EDITED), text=CAPITAL)

    agent.before_embedding = meanwhile
    run_jobs()
    assert served(document) == {CAPITAL, "The river is the Rhine."}


def test_the_sweeper_finds_edits_that_were_never_embedded(
    api: APIClient, document: Document, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    change(api, passage(document), text=EDITED)
    agent.faults = [refusal(503, "away", retryable=True)]
    assert list(corrections.unfinished()) == [document.pk]
    with pytest.raises(AgentError):
        run_jobs()
    assert CAPITAL in served(document)
    corrections.embed(document.pk)
    assert EDITED in served(document)
    assert list(corrections.unfinished()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_an_edit_that_arrives_after_its_version_was_retired_leaves_no_vector(
    api: APIClient, document: Document, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    old = passage(document).version_id
    change(api, passage(document), text=EDITED)

    def meanwhile() -> None:
        DocumentVersion.objects.filter(pk=old).update(state=VersionState.RETIRED)
        Document.objects.filter(pk=document.pk).update(version=None, state=State.CANCELLED)
        Chunk.objects.filter(version=old).delete()

    agent.before_embedding = meanwhile
    corrections.embed(document.pk)
    assert {vector.version for vector in agent.stored()} == set()


def test_edits_leave_nothing_to_reconcile(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    change(api, passage(document), text=EDITED)
    run_jobs()
    change(api, passage(document, EDITED), enabled=False)
    assert list(reconciling.reconcile(repair=False)) == []


def test_what_was_read_is_never_changed(api: APIClient, document: Document, run_jobs: RunJobs) -> None:
    version = passage(document).version_id
    before = set(Page.objects.filter(version=version).values_list("number", "text"))
    change(api, passage(document), text=EDITED)
    run_jobs()
    assert set(Page.objects.filter(version=version).values_list("number", "text")) == before | {(3, EDITED)}
