"""POST and GET /api/v1/bots/{id}/documents/"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.documents import services
from backend.documents.errors import DuplicateDocument, StorageUnavailable
from backend.documents.models import Document, State
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs, stored_files
from tests.backend.documents.samples import pdf

pytestmark = pytest.mark.usefixtures("empty_storage")

AsUser = Callable[[User], APIClient]


def url_of(bot: Bot) -> str:
    return f"/api/v1/bots/{bot.pk}/documents/"


def send(api: APIClient, bot: Bot, content: bytes, name: str = "notes.txt", *, key: str = "", **fields: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    body = {"file": SimpleUploadedFile(name, content), **fields}
    return api.post(url_of(bot), body, format="multipart", headers=headers)


def test_an_upload_is_queued_and_kept_as_it_was(api: APIClient, bot: Bot) -> None:
    response = send(api, bot, b"Hello.", "My notes.txt")
    assert response.status_code == HTTPStatus.CREATED
    assert (response.data["title"], response.data["state"], response.data["size"]) == ("My notes", "queued", 6)
    assert response.data["progress"] == {"pages": {"done": 0, "total": None}, "chunks": {"done": 0, "total": None}}
    document = Document.objects.get()
    with services.open_original(document=document) as file:
        assert file.read() == b"Hello."
    assert "notes" not in document.file


def test_a_text_is_pasted(api: APIClient, bot: Bot, run_jobs: RunJobs, agent: FakeAgent) -> None:
    response = api.post(url_of(bot), {"title": "Opening hours", "text": "We open at nine.\r\nWe close at five."})
    assert response.status_code == HTTPStatus.CREATED
    assert (response.data["kind"], response.data["filename"]) == ("text", "Opening hours.txt")
    run_jobs()
    page = api.get(f"/api/v1/documents/{response.data['id']}/pages/1/")
    assert page.json()["text"] == "We open at nine.\nWe close at five."


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"", "empty.txt", HTTPStatus.BAD_REQUEST, "empty_file"),
        (b"MZ\x00\x01", "program.exe", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_type"),
        (b"not a pdf", "report.pdf", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_type"),
        (b"x" * 2000, "long.txt", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large"),
    ],
)
def test_what_cannot_be_read_is_refused_and_not_kept(
    api: APIClient, bot: Bot, settings: Settings, content: bytes, name: str, status: int, code: str
) -> None:
    settings.UPLOAD_LIMIT_BYTES = 1000
    response = send(api, bot, content, name)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not Document.objects.exists()
    assert stored_files() == []


def test_a_refusal_says_what_can_be_read_beside_its_sentence(api: APIClient, bot: Bot) -> None:
    refusal = send(api, bot, b"MZ\x00\x01", "program.exe").json()
    assert refusal["message"] == "Files that end in .exe cannot be read."
    extensions = {extension for kind in refusal["details"]["formats"] for extension in kind["extensions"]}
    assert {"pdf", "docx", "py"} <= extensions


def test_an_export_of_a_chat_has_the_chats_name(api: APIClient, bot: Bot) -> None:
    head = b'{\n "name": "Harbour \\u201eNews\\u201c",\n "type": "public_channel",\n "id": 1,\n "messages": []}'
    assert send(api, bot, head, "result.json").json()["title"] == "Harbour „News“"
    for other in (head.replace(b'"name"', b'"names"'), head.replace(b"\\u201e", b"\\u20")):
        assert send(api, bot, other, "result.json").json()["title"] == "result"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: APIClient, bot: Bot, settings: Settings) -> None:
    settings.UPLOAD_LIMIT_BYTES = 1000
    response = send(api, bot, b"x" * 200_000)
    assert response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert response.json()["details"]["file_bytes"] == 1000


def test_html_has_a_limit_of_its_own(api: APIClient, bot: Bot) -> None:
    response = send(api, bot, b"<p>" + b"x" * (5 * 1024 * 1024), "page.html")
    assert response.json()["code"] == "too_large"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"title": "T", "text": " \n\u200b"}, "no_text"),
        ({"title": "T", "text": ""}, "invalid"),
        ({"title": "", "text": "x"}, "invalid"),
        ({"text": "x"}, "invalid"),
        ({"title": ["T"], "text": {"a": 1}}, "invalid"),
        ({"title": "T" * 301, "text": "x"}, "invalid"),
        ([1, 2], "invalid"),
    ],
)
def test_a_text_that_is_none_is_refused(api: APIClient, bot: Bot, body: Any, code: str) -> None:
    response = api.post(url_of(bot), body)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.BAD_REQUEST, code)


def test_a_text_that_is_too_long_is_refused_with_the_limits(api: APIClient, bot: Bot, settings: Settings) -> None:
    settings.TEXT_LIMIT_CHARS = 10
    response = api.post(url_of(bot), {"title": "T", "text": "x" * 11})
    assert (response.status_code, response.json()["code"]) == (413, "text_too_long")


@pytest.mark.parametrize(
    "body", [b'{"title": "a\\u0000", "text": "x"}', b'{"title": "\\ud800", "text": "x"}', b"{", b""]
)
def test_odd_json_is_a_clear_refusal(api: APIClient, bot: Bot, body: bytes) -> None:
    response = api.post(url_of(bot), body, content_type="application/json")
    assert response.status_code == HTTPStatus.BAD_REQUEST


def test_a_body_without_a_file_says_what_is_wanted(api: APIClient, bot: Bot) -> None:
    for fields in ({"title": "T"}, {"file": "a string"}):
        response = api.post(url_of(bot), fields, format="multipart")
        assert (response.status_code, response.json()["code"]) == (HTTPStatus.BAD_REQUEST, "file_missing")


@pytest.mark.parametrize("title", ["a\x00b", "x" * 301])
def test_an_odd_title_is_refused_or_cleaned(api: APIClient, bot: Bot, title: str) -> None:
    assert send(api, bot, b"Hello.", title=title).status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.CREATED)
    assert "\x00" not in "".join(Document.objects.values_list("title", flat=True))


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.txt", "a\u202etxt.exe.txt", "x" * 300 + ".txt", "quo\"te'.txt", "CON.txt", "<img src=x>.txt"],
)
def test_an_odd_name_is_shown_tamed_and_offered_back_safely(api: APIClient, bot: Bot, name: str) -> None:
    response = send(api, bot, b"Hello.", name)
    assert response.status_code == HTTPStatus.CREATED
    shown = response.json()["filename"]
    assert not set(shown) & {"/", "\\", "\u202e"}
    assert len(shown) <= 255
    offered = api.get(f"/api/v1/documents/{response.json()['id']}/file/")
    assert offered.headers["Content-Disposition"].startswith("attachment; filename")
    assert offered.getvalue() == b"Hello."


def test_the_same_content_is_told_and_not_stored_twice(api: APIClient, bot: Bot) -> None:
    first = send(api, bot, b"Hello.").json()
    second = send(api, bot, b"Hello.", "other name.txt")
    assert (second.status_code, second.json()["code"]) == (HTTPStatus.CONFLICT, "duplicate_document")
    assert second.json()["details"]["id"] == first["id"]
    assert len(stored_files()) == 1


def test_what_was_deleted_or_is_anothers_bot_may_have_it_again(api: APIClient, bot: Bot) -> None:
    first = send(api, bot, b"Hello.").json()
    api.delete(f"/api/v1/documents/{first['id']}/")
    assert send(api, bot, b"Hello.").status_code == HTTPStatus.CREATED
    other = bots.create_bot(owner=bot.owner, name="Other")
    assert send(api, other, b"Hello.").status_code == HTTPStatus.CREATED


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("empty_queue")
def test_of_20_parallel_uploads_of_one_file_one_is_kept(bot: Bot) -> None:
    def one(_: int) -> str:
        try:
            file = SimpleUploadedFile("a.txt", b"Hello.")
            return str(services.upload_document(bot=bot, file=file, filename="a.txt").pk)
        except DuplicateDocument as exc:
            return str(exc.details["id"])
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        named = set(pool.map(one, range(20)))
    assert named == {str(pk) for pk in Document.objects.values_list("pk", flat=True)}
    assert (len(named), len(stored_files())) == (1, 1)


def test_the_same_key_uploads_once(api: APIClient, bot: Bot) -> None:
    first, second = (send(api, bot, b"Hello.", key="k") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]


def test_a_full_disk_is_said_and_leaves_nothing(api: APIClient, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    response = send(api, bot, b"Hello.")
    assert (response.status_code, response.json()["code"]) == (StorageUnavailable.status, "storage_unavailable")
    assert not Document.objects.exists()


def test_uploads_are_limited_by_the_hour(api: APIClient, bot: Bot, settings: Settings) -> None:
    settings.UPLOAD_LIMIT_PER_HOUR = 1
    assert send(api, bot, b"Hello.").status_code == HTTPStatus.CREATED
    refused = send(api, bot, b"Hello again.")
    assert refused.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert int(refused.headers["Retry-After"]) > 0


def test_the_limits_are_told_before_the_upload(api: APIClient, bot: Bot, settings: Settings) -> None:
    limits = api.get(f"{url_of(bot)}limits/").json()
    assert limits["file_bytes"] == settings.UPLOAD_LIMIT_BYTES
    assert {form["name"] for form in limits["formats"]} >= {"pdf", "docx", "html", "markdown", "text"}
    assert all(form["extensions"] for form in limits["formats"])
    assert (limits["request_files"], limits["quota"]["files"]["used"]) == (settings.UPLOAD_LIMIT_FILES, 0)


def test_the_list_is_newest_first_and_filtered(api: APIClient, bot: Bot) -> None:
    for number in range(3):
        send(api, bot, f"Text {number}".encode(), f"{number}.txt")
    Document.objects.filter(title="1").update(state=State.FAILED)
    api.post(url_of(bot), {"title": "Pasted", "text": "Pasted text"})

    def titles(query: str) -> list[str]:
        return [row["title"] for row in api.get(url_of(bot) + query).json()["results"]]

    assert titles("") == ["Pasted", "2", "1", "0"]
    assert titles("?state=failed") == ["1"]
    assert titles("?kind=text") == ["Pasted"]
    assert titles("?title=past") == ["Pasted"]
    assert titles("?page_size=1") == ["Pasted"]
    assert api.get(f"{url_of(bot)}?state=nonsense").status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("suffix", ["", "limits/"])
def test_only_the_owner_sees_the_list(bot: Bot, stranger: User, as_user: AsUser, suffix: str) -> None:
    bots.update_bot(bot=bot, author=bot.owner, changes={"visibility": "public"})
    assert APIClient().get(url_of(bot) + suffix).status_code == HTTPStatus.UNAUTHORIZED
    foreign = as_user(stranger).get(url_of(bot) + suffix)
    random = as_user(stranger).get(f"/api/v1/bots/{uuid4()}/documents/{suffix}")
    assert foreign.status_code == random.status_code == HTTPStatus.NOT_FOUND
    assert foreign.json()["message"] == random.json()["message"]


def test_only_the_owner_uploads(bot: Bot, stranger: User, as_user: AsUser) -> None:
    assert send(as_user(stranger), bot, pdf(["x"]), "a.pdf").status_code == HTTPStatus.NOT_FOUND
    assert send(APIClient(), bot, pdf(["x"]), "a.pdf").status_code == HTTPStatus.UNAUTHORIZED
    assert as_user(stranger).post(f"{url_of(bot)}reindex/").status_code == HTTPStatus.NOT_FOUND
    assert not Document.objects.exists()
