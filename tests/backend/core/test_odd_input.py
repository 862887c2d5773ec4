"""Whatever arrives, the answer is ours: a code, a message, a request id, and never a 5xx."""

import json
from collections.abc import Callable
from http import HTTPStatus

import pytest
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.users.models import User

AsUser = Callable[[User], APIClient]
BODIES = {
    "deep array": b'{"name": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep object": b'{"name": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    "nested past the limit": b'{"name": "x", "configuration": ' + b"[" * 40 + b"]" * 40 + b"}",
    "NUL": b'{"name": "a\\u0000b"}',
    "NUL in a name": b'{"na\\u0000me": "x"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "NaN": b'{"name": "x", "configuration": {"temperature": NaN}}',
    "infinity": b'{"name": "x", "configuration": {"temperature": Infinity}}',
    "overflow": b'{"name": "x", "configuration": {"temperature": 1e999}}',
    "huge integer": b'{"name": "x", "configuration": {"top_k": ' + b"9" * 5_000 + b"}}",
    "not JSON": b"{",
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "bad UTF-8": b'{"name": "\xff"}',
    "array": b"[]",
    "text": b'"text"',
    "nothing": b"",
    "array for text": b'{"name": ["x"]}',
    "long text": json.dumps({"name": "x" * 1_000_000}).encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_odd_body_is_refused_in_our_words(as_user: AsUser, owner: User, body: bytes) -> None:
    response = as_user(owner).generic("POST", "/api/v1/bots/", body, content_type="application/json")  # type: ignore[arg-type]
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert set(response.json()) == {"code", "message", "details", "request_id"}
    assert not Bot.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        "bots/%00/",
        "bots/?name=%00",
        "bots/?cursor=%00",
        "bots/?cursor=zzz",
        "bots/?page_size=99999999999999999999",
        "x/",
    ],
)
def test_an_odd_address_is_no_server_error(as_user: AsUser, owner: User, path: str) -> None:
    response = as_user(owner).get(f"/api/v1/{path}")
    assert response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "2147483648", "9" * 30])
def test_a_number_that_no_version_has_is_not_found(as_user: AsUser, owner: User, number: str) -> None:
    client = as_user(owner)
    bot = client.post("/api/v1/bots/", {"name": "Moon"}).data["id"]
    assert client.get(f"/api/v1/bots/{bot}/versions/{number}/").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", ""])
def test_another_media_type_is_refused(as_user: AsUser, owner: User, media_type: str) -> None:
    response = as_user(owner).generic("POST", "/api/v1/bots/", b'{"name": "x"}', content_type=media_type)  # type: ignore[arg-type]
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_a_wrong_method_is_refused(as_user: AsUser, owner: User) -> None:
    response = as_user(owner).put("/api/v1/bots/", {})
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_an_unknown_page_is_our_404(client: APIClient) -> None:
    response = client.get("/no-such-page")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
