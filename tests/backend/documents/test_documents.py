"""/api/v1/documents/{id}/ and what lies below it"""

import time
from collections.abc import Callable
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from rest_framework.test import APIClient

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.core.pagination import NewestFirst
from backend.documents import services
from backend.documents.models import Chunk, Document, State
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent, refusal
from tests.backend.documents.fixtures import RunJobs
from tests.backend.documents.samples import pdf

Upload = Callable[..., Document]
AsUser = Callable[[User], APIClient]
LONG = "".join(f"Sentence {number} of a long text. " for number in range(200)).encode()
SUBJECTS = [
    "", "file/", "pages/", "pages/1/", "chunks/", "why/", "report/", "versions/", "corrections/", "preview/", "cancel/",
    "approve/",
]  # fmt: skip


def url_of(document: Document, suffix: str = "") -> str:
    return f"/api/v1/documents/{document.pk}/{suffix}"


def test_a_ready_document_tells_its_progress_and_version(api: APIClient, ingested: Upload) -> None:
    body = api.get(url_of(ingested(pdf(["One.", "Two."]), "a.pdf"))).json()
    assert (body["state"], body["stage"], body["error"], body["format"]) == ("ready", "", None, "pdf")
    assert body["progress"] == {"pages": {"done": 2, "total": 2}, "chunks": {"done": 2, "total": 2}}
    assert (body["version"]["number"], body["version"]["chunk_count"]) == (1, 2)


def test_a_failed_document_tells_why_and_what_to_do(api: APIClient, ingested: Upload) -> None:
    error = api.get(url_of(ingested(pdf([""]), "scan.pdf"))).json()["error"]
    assert (error["code"], error["retry_at"]) == ("no_text", None)
    assert "scan" in error["message"]
    assert "OCR" in error["hint"]


def test_a_waiting_document_tells_when_it_is_tried_again(api: APIClient, ingested: Upload, agent: FakeAgent) -> None:
    agent.faults = [refusal(503, "vendor_unavailable", retryable=True)]
    error = api.get(url_of(ingested(b"Short."))).json()["error"]
    assert error["code"] == "vendor_unavailable"
    assert error["retry_at"] is not None


def test_the_title_is_changed(api: APIClient, upload: Upload) -> None:
    document = upload(b"Short.")
    assert api.patch(url_of(document), {"title": "New\u202e title", "state": "ready"}).json()["title"] == "New title"
    assert api.patch(url_of(document), {"title": ""}).status_code == HTTPStatus.BAD_REQUEST
    assert Document.objects.get().state == State.QUEUED


def test_a_deleted_document_is_gone_at_once(api: APIClient, ingested: Upload) -> None:
    document = ingested(LONG)
    assert api.delete(url_of(document)).status_code == HTTPStatus.NO_CONTENT
    gone = {api.get(url_of(document, subject)).status_code for subject in SUBJECTS}
    assert gone == {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}  # the latter of what only takes a POST
    assert api.get(f"/api/v1/bots/{document.bot_id}/documents/").json()["results"] == []
    assert api.delete(url_of(document)).status_code == HTTPStatus.NOT_FOUND


def test_the_original_is_a_download_that_runs_nothing(api: APIClient, upload: Upload) -> None:
    document = upload(b"<script>alert(1)</script>", 'caf\u00e9 "x".html')
    response = api.get(url_of(document, "file/"))
    assert response.getvalue() == b"<script>alert(1)</script>"
    assert response.headers["Content-Type"] == "text/html"
    assert response.headers["Content-Disposition"] == "attachment; filename*=utf-8''caf%C3%A9%20%22x%22.html"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("sandbox")


def test_an_original_that_is_gone_is_said_to_be(api: APIClient, upload: Upload) -> None:
    document = upload(b"Short.")
    default_storage.delete(document.file)
    response = api.get(url_of(document, "file/"))
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.NOT_FOUND, "original_missing")


def test_pages_are_listed_and_opened(api: APIClient, ingested: Upload) -> None:
    document = ingested(pdf(["One.", "Two two."]), "a.pdf")
    listed = api.get(url_of(document, "pages/")).json()["results"]
    assert [(row["number"], row["label"], row["chars"]) for row in listed] == [(1, "Page 1", 4), (2, "Page 2", 8)]
    opened = api.get(url_of(document, "pages/2/")).json()
    assert (opened["number"], opened["label"], opened["text"]) == (2, "Page 2", "Two two.")
    for number in ("3", "0", "999999999", "99999999999999999999"):
        assert api.get(url_of(document, f"pages/{number}/")).status_code == HTTPStatus.NOT_FOUND


def test_pages_of_an_old_version_open_by_its_id(api: APIClient, ingested: Upload, run_jobs: RunJobs) -> None:
    document = ingested(LONG)
    old = document.version
    assert old is not None
    services.reindex(document=document)
    run_jobs()
    assert api.get(url_of(document, f"pages/1/?version={old.pk}")).json()["text"] == LONG.decode()
    for version in (uuid4(), "nonsense"):
        assert api.get(url_of(document, f"pages/?version={version}")).status_code == HTTPStatus.NOT_FOUND


def test_chunks_are_listed_in_order_page_by_page(
    api: APIClient, ingested: Upload, bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NewestFirst, "page_size", 3)
    document = ingested(LONG)
    found, following = [], url_of(document, "chunks/")
    while following:
        body = api.get(following).json()
        found += body["results"]
        following = body["next"]
    assert [row["position"] for row in found] == list(range(len(found)))
    assert len(found) == Chunk.objects.count()
    assert all(LONG.decode()[row["start"] : row["end"]] == row["text"] for row in found)


def test_nothing_was_read_yet(api: APIClient, upload: Upload) -> None:
    document = upload(LONG)
    assert api.get(url_of(document, "pages/")).json()["results"] == []
    assert api.get(url_of(document, "chunks/")).json()["results"] == []
    assert api.get(url_of(document, "pages/1/")).status_code == HTTPStatus.NOT_FOUND


def test_retry_and_reindex(api: APIClient, ingested: Upload, run_jobs: RunJobs, agent: FakeAgent) -> None:
    document = ingested(LONG)
    refused = api.post(url_of(document, "retry/"))
    assert (refused.status_code, refused.json()["code"]) == (HTTPStatus.CONFLICT, "nothing_to_retry")
    assert api.post(url_of(document, "reindex/")).json()["state"] == "queued"
    busy = api.post(url_of(document, "reindex/"))
    assert (busy.status_code, busy.json()["code"]) == (HTTPStatus.CONFLICT, "document_busy")
    agent.faults = [refusal(503, "away", retryable=True)]
    run_jobs()
    assert api.post(url_of(document, "retry/")).json()["error"] is None
    time.sleep(0.1)
    run_jobs()
    assert api.get(url_of(document)).json()["version"]["number"] == 2


def test_what_is_queued_or_under_way_is_cancelled_and_what_serves_goes_on(
    api: APIClient, ingested: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = ingested(LONG)
    services.reindex(document=document)
    body = api.post(url_of(document, "cancel/")).json()
    assert (body["state"], body["version"]["number"]) == ("cancelled", 1)
    run_jobs()
    document.refresh_from_db()
    assert document.state == State.CANCELLED
    again = api.post(url_of(document, "cancel/"))
    assert (again.status_code, again.json()["code"]) == (HTTPStatus.CONFLICT, "nothing_to_cancel")
    assert api.post(url_of(document, "retry/")).json()["state"] == "queued"
    run_jobs()
    document.refresh_from_db()
    assert document.state == State.READY


def test_failed_ones_are_retried_in_one_call_all_or_by_their_code(
    api: APIClient, ingested: Upload, upload: Upload, bot: Bot, agent: FakeAgent
) -> None:
    scans = [ingested(pdf([""] * number), f"{number}.pdf") for number in (1, 2)]
    ready, other = ingested(LONG), upload(b"Other.", "other.txt")
    Document.objects.filter(pk=other.pk).update(state=State.FAILED, error_code="corrupt_file")
    url = f"/api/v1/bots/{bot.pk}/documents/retry/"
    assert api.post(url, {"code": "no_text"}).json() == {"queued": 2, "by_code": {"no_text": 2}}
    assert api.post(url, {}).json() == {"queued": 1, "by_code": {"corrupt_file": 1}}
    assert api.post(url).json() == {"queued": 0, "by_code": {}}
    assert Document.objects.filter(pk__in=[scan.pk for scan in scans], state=State.QUEUED).count() == 2
    ready.refresh_from_db()
    assert ready.state == State.READY


def test_link_and_switch_are_changed(api: APIClient, upload: Upload) -> None:
    document = upload(b"Short.")
    body = api.patch(url_of(document), {"link": "https://example.org/a", "enabled": False}).json()
    assert (body["link"], body["enabled"], body["title"]) == ("https://example.org/a", False, "notes")
    for link in ("javascript:alert(1)", "data:text/html,x"):
        assert api.patch(url_of(document), {"link": link}).status_code == HTTPStatus.BAD_REQUEST
    assert api.get(f"/api/v1/bots/{document.bot_id}/documents/?enabled=false").json()["results"][0]["id"] == body["id"]


def test_all_documents_of_a_bot_are_read_again(api: APIClient, ingested: Upload, bot: Bot, run_jobs: RunJobs) -> None:
    document = ingested(LONG)
    url = f"/api/v1/bots/{bot.pk}/documents/reindex/"
    first, again = (api.post(url, headers={"idempotency-key": "k"}) for _ in range(2))
    assert (first.status_code, first.json()) == (HTTPStatus.ACCEPTED, {"queued": 1})
    assert again.json() == first.json()
    run_jobs()
    document.refresh_from_db()
    assert document.version is not None
    assert document.version.number == 2


@pytest.mark.parametrize("subject", [*SUBJECTS, "retry/", "reindex/"])
@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_only_the_owner_gets_anywhere(
    ingested: Upload, bot: Bot, stranger: User, as_user: AsUser, subject: str, method: str
) -> None:
    """Also of a public bot: who may chat may not read the documents."""
    document = ingested(LONG)
    bots.update_bot(bot=bot, author=bot.owner, changes={"visibility": "public"})
    anonymous = getattr(APIClient(), method)(url_of(document, subject))
    foreign = getattr(as_user(stranger), method)(url_of(document, subject))
    random = getattr(as_user(stranger), method)(f"/api/v1/documents/{uuid4()}/{subject}")
    assert anonymous.status_code == HTTPStatus.UNAUTHORIZED
    assert foreign.status_code == random.status_code
    assert foreign.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.BAD_REQUEST)
    document.refresh_from_db()
    assert document.state == State.READY
