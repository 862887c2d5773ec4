"""GET and PUT /api/v1/documents/{id}/file/"""

import tracemalloc
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from backend.config.asgi import application
from backend.documents.models import Document, Kind, State
from backend.users import services as users
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs, stored_files
from tests.backend.documents.samples import pdf
from tests.serving import serve

pytestmark = pytest.mark.usefixtures("empty_storage")

Upload = Callable[..., Document]


def put(api: APIClient, document: Document, content: bytes, name: str = "notes.txt", **fields: Any) -> Any:
    body = {"file": SimpleUploadedFile(name, content), **fields}
    return api.put(f"/api/v1/documents/{document.pk}/file/", body, format="multipart")


def test_new_content_becomes_a_new_version_beside_the_old(
    api: APIClient, ingested: Upload, run_jobs: RunJobs, agent: FakeAgent
) -> None:
    document = ingested(b"The old price.")
    body = put(api, document, pdf(["The new price."]), "prices.pdf", title="Prices").json()
    assert (body["changed"], body["document"]["state"], body["document"]["format"]) == (True, "queued", "pdf")
    assert (body["document"]["title"], body["document"]["version"]["number"]) == ("Prices", 1)
    run_jobs()
    versions = api.get(f"/api/v1/documents/{document.pk}/versions/").json()["results"]
    assert [(row["number"], row["state"]) for row in versions] == [(2, "ready"), (1, "retired")]
    assert versions[0]["sha256"] != versions[1]["sha256"]


def test_the_same_bytes_are_told_to_be_unchanged(api: APIClient, ingested: Upload, agent: FakeAgent) -> None:
    document = ingested(b"The price.")
    body = put(api, document, b"The price.", "other.txt").json()
    assert (body["changed"], body["document"]["state"], body["document"]["filename"]) == (False, "ready", "notes.txt")


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.txt", "empty_file"),
        (b"not a pdf", "a.pdf", "unsupported_type"),
        (b"Second.", "a.txt", "duplicate_document"),
    ],
    ids=["empty", "lie", "duplicate"],
)
def test_what_cannot_replace_it_is_refused(
    api: APIClient, upload: Upload, content: bytes, name: str, code: str
) -> None:
    document = upload(b"First.")
    upload(b"Second.", "second.txt")
    assert put(api, document, content, name).json()["code"] == code
    document.refresh_from_db()
    assert (document.state, len(stored_files())) == (State.QUEUED, 2)


def test_what_comes_from_a_source_is_not_replaced_by_hand(api: APIClient, upload: Upload) -> None:
    document = upload(b"First.", kind=Kind.WEB, format_name="text")
    response = put(api, document, b"Second.")
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.CONFLICT, "not_replaceable")


def test_a_body_without_a_file_says_what_is_wanted(api: APIClient, upload: Upload) -> None:
    response = api.put(f"/api/v1/documents/{upload(b'First.').pk}/file/", {"title": "x"}, format="multipart")
    assert response.json()["code"] == "file_missing"


@pytest.fixture
def url(transactional_db: None) -> Iterator[str]:
    with serve(application) as base:
        yield f"{base}/api/v1"


def test_a_large_file_is_streamed_and_not_read_whole(url: str, owner: User, upload: Upload) -> None:
    size = 16 * 1024 * 1024
    document = upload(b"x" * size, "large.txt")
    headers = {"authorization": f"Bearer {users.open_session(user=owner, user_agent='tests').access}"}
    received, address = 0, f"{url}/documents/{document.pk}/file/"
    tracemalloc.start()
    with httpx.stream("GET", address, headers=headers, trust_env=False, timeout=60) as response:
        assert response.headers["content-length"] == str(size)
        for block in response.iter_raw():
            received += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert received == size
    assert peak < size / 2
