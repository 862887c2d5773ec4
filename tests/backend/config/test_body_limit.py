import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from pytest_django import Settings

from backend.config.asgi import application
from backend.config.body_limit import FRAMING_BYTES
from tests.serving import serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    settings.UPLOAD_LIMIT_BYTES = 1000
    with serve(application) as base:
        yield f"{base}/api/v1/auth/login/"


def blocks(total: int) -> Iterator[bytes]:
    for _ in range(total // 65536 + 1):
        yield b"x" * 65536


def test_an_announced_body_over_the_limit_is_refused_unread(url: str) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        head = f"POST {address.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_endless_body_is_cut_at_the_limit(url: str) -> None:
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for block in blocks(FRAMING_BYTES * 100):
            sent += len(block)
            yield block

    try:
        response = httpx.post(url, content=counted(), headers={"content-type": "application/json"}, trust_env=False)
    except httpx.WriteError:
        pass  # the server has hung up on us, as it should
    else:
        assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert sent < FRAMING_BYTES * 100


def test_a_body_within_it_reaches_the_view(url: str) -> None:
    response = httpx.post(url, json={"email": "x", "password": "x" * 500}, trust_env=False)
    assert response.status_code in (400, 401)


def test_a_request_with_files_may_be_larger_than_one_without(url: str, settings: Settings) -> None:
    settings.UPLOAD_REQUEST_LIMIT_BYTES = 3 * FRAMING_BYTES

    def sent(media_type: str) -> httpx.Response:
        headers = {"content-type": media_type}
        return httpx.post(url, headers=headers, content=b"x" * 2 * FRAMING_BYTES, trust_env=False)

    refused = sent("application/json")
    assert (refused.status_code, refused.json()["details"]) == (413, {"limit_bytes": 1000})
    assert sent("multipart/form-data; boundary=x").status_code != 413
