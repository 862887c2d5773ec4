"""S19: who may talk to the server at all, and how it is told to whom it may not."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from rest_framework.test import APIClient

from backend.mcp_server import sessions
from backend.users import api_keys
from backend.users.models import User
from tests.backend.mcp_server.conftest import key_of
from tests.serving import PLAIN

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def client_of(user: User | None) -> APIClient:
    return APIClient(headers={"X-API-Key": key_of(user)} if user else {})


def post(client: APIClient, message: Any, **headers: str) -> Any:
    return client.post("/mcp/", message, headers={"Accept": "application/json, text/event-stream", **headers})


def test_without_a_good_key_it_is_401(db: None) -> None:
    for headers in ({}, {"Authorization": "Bearer cs_" + "x" * 43}):
        refused = post(client_of(None), INITIALIZE, **headers)
        assert refused.status_code == 401
        assert refused.json()["error"]["data"]["code"] in ("not_authenticated", "invalid_token")
        assert "WWW-Authenticate" in refused.headers


def test_a_revoked_key_is_refused_in_the_middle_of_a_session(owner: User) -> None:
    row, key = api_keys.create(user=owner, name="program")
    client = APIClient(headers={"Authorization": f"Bearer {key}"})
    session = post(client, INITIALIZE).headers[sessions.HEADER]
    assert post(client, LIST, **{sessions.HEADER: session}).status_code == 200
    api_keys.revoke(user=owner, key_id=row.pk)
    assert post(client, LIST, **{sessions.HEADER: session}).status_code == 401


def test_a_foreign_session_is_answered_like_one_that_never_was(owner: User, stranger: User) -> None:
    session = post(client_of(owner), INITIALIZE).headers[sessions.HEADER]
    answers = [
        post(client_of(stranger), LIST, **{sessions.HEADER: given}) for given in (session, "made up", session + "x")
    ]
    assert {answer.status_code for answer in answers} == {404}
    messages = {answer.json()["error"]["message"] for answer in answers}
    assert messages == {"There is no such session, or it is not yours; begin a new one."}


def test_an_old_session_is_over(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    session = post(client_of(owner), INITIALIZE).headers[sessions.HEADER]
    monkeypatch.setattr(sessions, "LIFETIME_SECONDS", -1)
    assert post(client_of(owner), LIST, **{sessions.HEADER: session}).status_code == 404


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example", "file://"])
def test_a_page_from_elsewhere_is_refused_before_anything_else(db: None, origin: str) -> None:
    refused = post(client_of(None), INITIALIZE, Origin=origin)
    assert (refused.status_code, refused.json()["error"]["data"]["code"]) == (403, "origin_refused")
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_page_of_ours_is_let_in(owner: User, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    for origin in ("http://testserver", settings.SITE_URL, "https://app.example"):
        assert post(client_of(owner), LIST, Origin=origin).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "169.254.169.254"])
def test_another_host_is_misdirected(owner: User, host: str) -> None:
    refused = post(client_of(owner), INITIALIZE, Host=host)
    assert refused.status_code == 421
    assert refused.json()["error"]["data"]["code"] == "misdirected"


def test_a_cookie_opens_nothing(owner: User) -> None:
    client = APIClient()
    client.force_login(owner)
    assert post(client, LIST).status_code == 401


@pytest.mark.parametrize("method", ["get", "delete", "put"])
def test_there_is_nothing_but_post(owner: User, method: str) -> None:
    refused = getattr(client_of(owner), method)("/mcp/")
    assert refused.status_code == 405
    assert "POST" in refused.headers["Allow"]


def test_text_is_not_json(owner: User) -> None:
    refused = client_of(owner).post("/mcp/", data="{}", content_type="text/plain")
    assert refused.status_code == 415


@pytest.fixture
def anybody(web: str, owner: User) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web, headers={"X-API-Key": key_of(owner)}, timeout=20, verify=PLAIN) as client:
        yield client


def test_a_flood_is_refused_in_the_protocols_words(anybody: httpx.Client) -> None:
    flood = anybody.post("/mcp/", content=iter([b" " * 2**20] * 22), headers={"Content-Type": "application/json"})
    assert (flood.status_code, flood.json()["error"]["data"]["code"]) == (413, "too_large")
