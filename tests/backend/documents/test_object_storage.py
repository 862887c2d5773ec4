"""Originals in an S3-compatible store, over real HTTP against moto's server."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from moto.server import ThreadedMotoServer
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings
from rest_framework.test import APIClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.bots.models import Bot
from backend.documents import erasure, files, services
from backend.documents.errors import StorageUnavailable
from backend.documents.files import StorageAway
from backend.documents.models import Document
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import RunJobs
from tests.serving import serve

ROOT = Path(__file__).resolve().parents[3]
BUCKET, ACCESS, SECRET = "originals", "AKIACANARYACCESS00", "canary-secret-91b2"
LARGE = bytes(range(256)) * 4 * 1024 * 12  # twelve megabytes: more than one part


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def use_store(settings: Settings, endpoint: str, bucket: str = BUCKET) -> None:
    options = {"bucket_name": bucket, "endpoint_url": endpoint, "region_name": "us-east-1", "location": "chatsphere"}
    keys = {"access_key": ACCESS, "secret_key": SECRET}
    backend = "backend.documents.object_storage.ObjectStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options | keys}}


@pytest.fixture
def bucket(moto_url: str, settings: Settings) -> Iterator[Any]:
    """The vendor's own view of the bucket that the storage uses."""
    s3 = boto3.resource(
        "s3", endpoint_url=moto_url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    bucket = s3.create_bucket(Bucket=BUCKET)
    use_store(settings, moto_url)
    yield bucket
    bucket.objects.all().delete()
    bucket.delete()


def names(bucket: Any) -> list[str]:
    return [found.key for found in bucket.objects.all()]


@pytest.mark.parametrize("content", [b"", b"Moon.", LARGE], ids=["empty", "small", "in parts"])
def test_what_was_stored_is_read_back(bucket: Any, content: bytes) -> None:
    key = files.store(ContentFile(content))
    assert names(bucket) == [f"chatsphere/{key}"]
    with files.opened_locally(key) as file:
        assert file.read() == content
    assert list(files.stored_keys()) == [key]


def test_a_file_is_opened_with_a_descriptor_at_its_beginning(bucket: Any) -> None:
    key = files.store(ContentFile(LARGE))
    with files.opened_locally(key) as file:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"],
            stdin=file.fileno(), capture_output=True, check=True,
        )  # fmt: skip
    assert done.stdout == LARGE


def test_what_was_removed_is_gone_and_may_be_removed_again(bucket: Any) -> None:
    key = files.store(ContentFile(b"Moon."))
    files.remove(key)
    files.remove(key)
    assert (names(bucket), files.exists(key)) == ([], False)
    with pytest.raises(FileNotFoundError), files.opened_locally(key):
        pass


def attempts(key: str) -> list[Any]:
    return [
        lambda: files.store(ContentFile(b"Moon.")),
        lambda: files.remove(key),
        lambda: files.exists(key),
        lambda: list(files.stored_keys()),
        lambda: files.open_local(key),
    ]


def test_a_missing_bucket_is_not_a_missing_file(bucket: Any, settings: Settings, moto_url: str) -> None:
    use_store(settings, moto_url, bucket="no-such-bucket")
    for attempt in attempts("documents/x"):
        with pytest.raises(StorageUnavailable):
            attempt()


def test_a_store_that_nobody_listens_at(settings: Settings) -> None:
    use_store(settings, "http://127.0.0.1:9")
    for attempt in attempts("documents/x"):
        with pytest.raises(StorageUnavailable):
            attempt()


REFUSAL = f"""<?xml version="1.0"?><Error><Code>InvalidAccessKeyId</Code><Message>The key {ACCESS} with {SECRET}
is not known</Message><AWSAccessKeyId>{ACCESS}</AWSAccessKeyId></Error>"""


@pytest.mark.parametrize("status", [403, 500])
def test_a_refusal_is_told_without_keys(settings: Settings, caplog: pytest.LogCaptureFixture, status: int) -> None:
    async def refuse(_request: Request) -> Response:
        return Response(REFUSAL, status, media_type="application/xml")

    verbs = ["GET", "PUT", "POST", "DELETE", "HEAD"]
    with serve(Starlette(routes=[Route("/{path:path}", refuse, methods=verbs)])) as url, caplog.at_level(logging.INFO):
        use_store(settings, url)
        for attempt in attempts("documents/x"):
            with pytest.raises(StorageUnavailable) as raised:
                attempt()
            told = f"{raised.value.message} {raised.value.details} {raised.value.__cause__} {raised.getrepr()}"
            assert ACCESS not in told
            assert SECRET not in told
    assert "could not be stored" in caplog.text
    assert ACCESS not in caplog.text
    assert SECRET not in caplog.text


def test_reading_says_503_and_storing_507(settings: Settings) -> None:
    use_store(settings, "http://127.0.0.1:9")
    with pytest.raises(StorageAway) as reading:
        files.open_local("documents/x")
    with pytest.raises(StorageUnavailable) as storing:
        files.store(ContentFile(b"Moon."))
    assert (reading.value.status, storing.value.status) == (503, 507)


def test_where_no_bucket_is_set_the_sdk_is_not_loaded() -> None:
    program = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'backend.config.settings'; django.setup();"
        "from django.core.files.storage import default_storage as storage; storage.exists('x');"
        "from backend.documents import files; print([name for name in sys.modules if name.startswith('boto')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_bucket_in_the_environment_is_used() -> None:
    program = (
        "import os, django; os.environ |= {'DJANGO_SETTINGS_MODULE': 'backend.config.settings', 'S3_BUCKET': 'b',"
        "'S3_ENDPOINT': 'http://127.0.0.1:9', 'S3_ACCESS_KEY': 'a', 'S3_SECRET_KEY': 's'}; django.setup();"
        "from django.core.files.storage import default_storage as storage;"
        "print(type(storage._wrapped or storage.bucket) and storage.bucket_name, storage.endpoint_url)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "b http://127.0.0.1:9"


@pytest.mark.django_db
def test_a_document_lives_and_dies_in_the_store(
    bucket: Any, api: APIClient, bot: Bot, agent: FakeAgent, run_jobs: RunJobs
) -> None:
    text = b"The dome is 18 metres wide. " * 50_000
    file = SimpleUploadedFile("dome.txt", text)
    uploaded = api.post(f"/api/v1/bots/{bot.pk}/documents/", {"file": file}, format="multipart")
    run_jobs()
    document = Document.objects.get(pk=uploaded.data["id"])
    assert (document.state, names(bucket)) == ("ready", [f"chatsphere/{document.file}"])
    original = api.get(f"/api/v1/documents/{document.pk}/file/")
    assert b"".join(original) == text
    assert original.headers["Content-Disposition"] == 'attachment; filename="dome.txt"'
    services.replace_document(document=document, file=ContentFile(b"It is 20 metres wide."))
    run_jobs()
    assert len(names(bucket)) == 1
    api.delete(f"/api/v1/documents/{document.pk}/")
    run_jobs()
    assert (names(bucket), Document.objects.count(), agent.all_ids()) == ([], 0, set())


@pytest.mark.django_db
def test_a_document_waits_for_a_store_that_is_away(
    bucket: Any, upload: Callable[..., Document], agent: FakeAgent, run_jobs: RunJobs, settings: Settings, moto_url: str
) -> None:
    document = upload(b"Moon.")
    use_store(settings, "http://127.0.0.1:9")
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.error_code, document.failures) == ("queued", "storage_unavailable", 1)
    use_store(settings, moto_url)
    Document.objects.update(wake_at=None)
    ProcrastinateJob.objects.filter(status="todo").update(scheduled_at=None)
    run_jobs()
    document.refresh_from_db()
    assert document.state == "ready"


@pytest.mark.django_db
def test_a_deletion_waits_for_a_store_that_is_away(
    bucket: Any, ingested: Callable[..., Document], run_jobs: RunJobs, settings: Settings, moto_url: str
) -> None:
    document = ingested(b"Moon.")
    use_store(settings, "http://127.0.0.1:9")
    services.delete_document(document=document)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.error_code) == ("deleting", "storage_unavailable")
    use_store(settings, moto_url)
    erasure.erase_document(document.pk)
    assert (names(bucket), Document.objects.count()) == ([], 0)
