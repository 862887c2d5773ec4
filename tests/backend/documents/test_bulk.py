"""Several files in one request, and ZIP archives of them."""

import io
import zipfile
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.documents.models import Document
from tests.backend.documents.fixtures import stored_files
from tests.backend.documents.samples import pdf

pytestmark = pytest.mark.usefixtures("empty_storage")


def archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return packed.getvalue()


def send(api: APIClient, bot: Bot, *files: tuple[str, bytes], key: str = "", **fields: Any) -> Any:
    body = {"file": [SimpleUploadedFile(name, content) for name, content in files], **fields}
    headers = {"idempotency-key": key} if key else {}
    return api.post(f"/api/v1/bots/{bot.pk}/documents/", body, format="multipart", headers=headers)


def outcomes(response: Any) -> dict[str, str]:
    """Of each file its document's state, or the error's code."""
    assert response.status_code == HTTPStatus.MULTI_STATUS, response.content
    return {
        row["name"]: (row["document"] or {}).get("state") or row["error"]["code"] for row in response.json()["results"]
    }


def test_each_of_many_files_is_taken_or_refused_on_its_own(api: APIClient, bot: Bot) -> None:
    files = [("a.txt", b"One."), ("b.txt", b"One."), ("c.exe", b"MZ\x00"), ("d.txt", b""), ("e.pdf", pdf(["Two."]))]
    response = send(api, bot, *files, link="https://example.org/x", review="true")
    assert outcomes(response) == {
        "a.txt": "queued",
        "b.txt": "duplicate_document",
        "c.exe": "unsupported_type",
        "d.txt": "empty_file",
        "e.pdf": "queued",
    }
    assert (response.json()["created"], response.json()["refused"]) == (2, 3)
    assert response.json()["results"][1]["error"]["details"]["id"] == str(Document.objects.get(filename="a.txt").pk)
    assert set(Document.objects.values_list("link", "review")) == {("https://example.org/x", True)}
    assert len(stored_files()) == 2


def test_an_archive_is_taken_apart(api: APIClient, bot: Bot) -> None:
    packed = archive(
        {"notes/a.txt": b"One.", "../../b.md": b"# Two", "c.zip": archive({"d.txt": b"x"}), "e.txt": b"One."}
    )
    assert outcomes(send(api, bot, ("all.zip", packed))) == {
        "notes/a.txt": "queued",
        "b.md": "queued",
        "c.zip": "entry_refused",
        "e.txt": "duplicate_document",
    }
    assert set(Document.objects.values_list("filename", "title")) == {("a.txt", "a"), ("b.md", "b")}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (archive({"a.txt": b"x"})[:-30], "corrupt_file"),
        (archive({"a.txt": b"\x00" * 50_000_000}), "zip_bomb"),
        (archive({}), "empty_file"),
    ],
    ids=["broken", "bomb", "nothing-in-it"],
)
def test_an_archive_that_cannot_be_unpacked_is_told(api: APIClient, bot: Bot, content: bytes, code: str) -> None:
    assert outcomes(send(api, bot, ("all.zip", content), ("a.txt", b"One."))) == {"all.zip": code, "a.txt": "queued"}


def test_a_file_in_an_archive_that_is_too_large_is_not_unpacked(api: APIClient, bot: Bot, settings: Settings) -> None:
    """Its content is broken, which whoever unpacks it would say instead."""
    settings.UPLOAD_LIMIT_BYTES = 1000
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        target.writestr("a.txt", b"x" * 1001)
        target.writestr("b.txt", b"y" * 1000)
    broken = packed.getvalue().replace(b"xxxx", b"xxzx", 1)
    assert outcomes(send(api, bot, ("all.zip", broken))) == {"a.txt": "too_large", "b.txt": "queued"}


def test_every_file_counts_against_the_limit_by_the_hour(api: APIClient, bot: Bot, settings: Settings) -> None:
    settings.UPLOAD_LIMIT_PER_HOUR = 2
    packed = archive({f"{number}.txt": str(number).encode() for number in range(3)})
    assert outcomes(send(api, bot, ("all.zip", packed))) == {
        "0.txt": "queued",
        "1.txt": "queued",
        "2.txt": "too_many_requests",
    }


def test_the_same_key_uploads_all_of_them_once(api: APIClient, bot: Bot) -> None:
    files = [("a.txt", b"One."), ("b.txt", b"Two.")]
    first, again = (send(api, bot, *files, key="k") for _ in range(2))
    assert first.json() == again.json()
    other = send(api, bot, ("a.txt", b"Other."), ("b.txt", b"Two."), key="k")
    assert (other.status_code, Document.objects.count()) == (HTTPStatus.UNPROCESSABLE_ENTITY, 2)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "//example.org/x", "ftp://example.org/x", "https://example.org/" + "x" * 2000]
)
def test_a_link_that_is_no_web_address_is_refused(api: APIClient, bot: Bot, link: str) -> None:
    assert send(api, bot, ("a.txt", b"One."), link=link).status_code == HTTPStatus.BAD_REQUEST
    pasted = api.post(f"/api/v1/bots/{bot.pk}/documents/", {"title": "T", "text": "x", "link": link})
    assert pasted.status_code == HTTPStatus.BAD_REQUEST
    assert not Document.objects.exists()


def test_the_answer_to_one_file_is_its_document(api: APIClient, bot: Bot) -> None:
    response = send(api, bot, ("a.txt", b"One."), link="https://t.me/name/1", title="T")
    assert (response.status_code, response.json()["link"], response.json()["title"]) == (
        HTTPStatus.CREATED, "https://t.me/name/1", "T",
    )  # fmt: skip
