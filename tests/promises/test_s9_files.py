"""S9: what a file is called, or pretends to be, changes nothing about where it is kept and how it is offered."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.documents.models import Document
from tests.backend.documents.fixtures import api, bot, empty_storage, stored_files, upload
from tests.backend.documents.samples import docx, pdf

pytestmark = pytest.mark.usefixtures("empty_storage")

Upload = Callable[..., Document]
SCRIPT = b"<script>alert(document.cookie)</script>"
GIF = b"GIF89a/*" + b"\x00" * 20 + b"*/=1;alert(1)"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (SCRIPT, "a.pdf"),
        (SCRIPT, "a.docx"),
        (GIF, "a.txt"),
        (GIF, "a.html"),
        (b"%PDF-1.7 " + SCRIPT, "a.html"),
        (docx("<w:p/>"), "a.txt"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "a.docx"),
        (b"MZ\x90\x00\x03\x00\x00\x00", "a.txt"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "a.md"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "a.svg"),
    ],
    ids=["html-as-pdf", "html-as-docx", "gif-as-txt", "gif-as-html", "pdf-as-html", "docx-as-txt", "doc-as-docx", "exe",
         "elf", "svg"],
)  # fmt: skip
def test_a_file_that_lies_about_its_type_is_refused(api: APIClient, bot: Bot, content: bytes, name: str) -> None:
    body = {"file": SimpleUploadedFile(name, content, content_type="text/html")}
    response = api.post(f"/api/v1/bots/{bot.pk}/documents/", body, format="multipart")
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_type")
    assert stored_files() == []


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/cron.d/x.txt",
        "..\\..\\windows\\x.txt",
        "/etc/passwd.txt",
        "a\r\nSet-Cookie: x=1.txt",
        'a"; filename="evil.exe.txt',
        "a\x00.exe.txt",
        "\u202etxt.exe.txt",
        "a;b.txt",
        "%2e%2e%2fx.txt",
        ".htaccess.txt",
        "caf\u00e9 \u6587.txt",
        "-" * 400 + ".txt",
        "\u6587" * 200 + ".txt",
        "CON.txt",
        "<img src=x onerror=alert(1)>.txt",
    ],
    ids=range(15),
)
def test_whatever_it_is_called_it_is_offered_as_a_download_that_runs_nothing(
    upload: Upload, api: APIClient, name: str
) -> None:
    document = upload(SCRIPT, name)
    assert UUID(document.file.removeprefix("documents/")).version == 7
    response = api.get(f"/api/v1/documents/{document.pk}/file/")
    assert response.getvalue() == SCRIPT
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename")
    assert not set(disposition) & set("\r\n\x00\u202e/\\") - set("\\" if '\\"' in disposition else "")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response.headers["Cache-Control"] == "private, no-store"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    "content",
    [SCRIPT + pdf(["Text."]), pdf(["Text."]) + SCRIPT, b"GIF89a" + pdf(["Text."])],
    ids=["html-before", "html-after", "gif-before"],
)
def test_a_polyglot_is_offered_as_what_it_was_taken_for_whatever_the_client_called_it(
    api: APIClient, bot: Bot, content: bytes
) -> None:
    body = {"file": SimpleUploadedFile("a.pdf", content, content_type="text/html")}
    document = api.post(f"/api/v1/bots/{bot.pk}/documents/", body, format="multipart").json()
    response = api.get(f"/api/v1/documents/{document['id']}/file/")
    assert (response.getvalue(), response.headers["Content-Type"]) == (content, "application/pdf")
    assert response.headers["Content-Disposition"] == 'attachment; filename="a.pdf"'
