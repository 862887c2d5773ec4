"""R33, the files: a disk that takes no more refuses the upload, says so, and keeps nothing of it.

The limit on the size of a file stands for the disk: to a program, both are an OSError in the middle of a write.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.config.asgi import application
from backend.documents import files, services
from backend.documents.errors import StorageUnavailable
from backend.documents.models import Document
from backend.users import services as users
from backend.users.models import User
from tests.backend.documents.fixtures import stored_files
from tests.serving import serve

ROOM = 256 * 1024
LARGE = b"A sentence of a long text. " * 200_000

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_storage")]


@contextmanager
def full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_storage_takes_no_more(bot: Bot) -> None:
    with full_disk(), pytest.raises(StorageUnavailable) as refused:
        services.upload_document(bot=bot, file=ContentFile(LARGE), filename="large.txt")
    assert (refused.value.status, refused.value.code) == (507, "storage_unavailable")
    assert (Document.objects.count(), stored_files()) == (0, [])
    assert services.upload_document(bot=bot, file=ContentFile(LARGE), filename="large.txt").size == len(LARGE)


def test_a_replacement_that_finds_no_room_leaves_what_is_there(bot: Bot) -> None:
    document = services.upload_document(bot=bot, file=ContentFile(b"Short."), filename="a.txt")
    with full_disk(), pytest.raises(StorageUnavailable):
        services.replace_document(document=document, file=ContentFile(LARGE))
    document.refresh_from_db()
    with files.opened_locally(document.file) as file:
        assert file.read() == b"Short."
    assert stored_files() == [document.file.removeprefix("documents/")]


def check_refused(status: int, body: Any) -> None:
    assert (status, body["code"]) == (HTTPStatus.INSUFFICIENT_STORAGE, "storage_unavailable")
    assert (Document.objects.count(), stored_files()) == (0, [])


def test_there_is_no_room_for_the_upload_itself(bot: Bot, api: APIClient) -> None:
    with full_disk():
        response = api.post(
            f"/api/v1/bots/{bot.pk}/documents/", {"file": ContentFile(LARGE, "large.txt")}, format="multipart"
        )
    check_refused(response.status_code, response.data)


@pytest.mark.django_db(transaction=True)
def test_there_is_no_room_for_the_body_of_the_request(bot: Bot, owner: User) -> None:
    access = users.open_session(user=owner, user_agent="tests").access
    with serve(application) as url, full_disk():
        response = httpx.post(
            f"{url}/api/v1/bots/{bot.pk}/documents/",
            files={"file": ("large.txt", LARGE)},
            headers={"Authorization": f"Bearer {access}"},
            timeout=30,
            trust_env=False,
        )
    check_refused(response.status_code, response.json())
    assert response.headers["Retry-After"] == "60"
