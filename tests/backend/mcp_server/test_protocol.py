"""One message a request: what the protocol asks of it, and what it gets back."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.users.models import User
from tests.backend.mcp_server.conftest import key_of
from tests.backend.mcp_server.test_guarding import INITIALIZE

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture
def post(owner: User) -> Any:
    client = APIClient(headers={"X-API-Key": key_of(owner)})
    return lambda message, **headers: client.post("/mcp/", message, headers=headers)


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def modern(method: str, name: str = "", **changes: str) -> dict[str, str]:
    headers = {"Mcp-Protocol-Version": MODERN, "Mcp-Method": method}
    return {**headers, **({"Mcp-Name": name} if name else {}), **changes}


@pytest.mark.parametrize(
    ("wanted", "agreed"),
    [("2025-03-26", "2025-03-26"), ("2025-11-25", "2025-11-25"), ("2026-07-28", "2025-11-25"), ("1999", "2025-11-25")],
)
def test_a_version_is_agreed_on(post: Any, wanted: str, agreed: str) -> None:
    message = {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": wanted}}  # type: ignore[dict-item]
    result = post(message).json()["result"]
    assert result["protocolVersion"] == agreed
    assert result["serverInfo"]["name"] == "chatsphere"


def test_a_notification_is_taken_in_silence(post: Any) -> None:
    taken = post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (taken.status_code, taken.content) == (202, b"")


@pytest.mark.parametrize(
    "message", [[], {}, [INITIALIZE], "text", 5, None, {"jsonrpc": "1.0", "id": 1, "method": "ping"}]
)
def test_what_is_no_message_is_refused(post: Any, message: Any) -> None:
    refused = post(message)
    assert 200 <= refused.status_code < 500
    assert refused.json()["error"]["code"] == -32600


def test_what_is_no_json_is_refused(owner: User) -> None:
    client = APIClient(headers={"X-API-Key": key_of(owner)})
    refused = client.generic("POST", "/mcp/", "{", content_type="application/json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32700)


@pytest.mark.parametrize("method", ["prompts/list", "resources/list", "logging/setLevel", "shell/run"])
def test_a_method_that_is_not_there_is_told(post: Any, method: str) -> None:
    params = {"level": "info"} if method == "logging/setLevel" else {}
    assert post(request(method, **params)).json()["error"]["code"] == -32601


def test_parameters_that_do_not_fit_are_told(post: Any) -> None:
    assert post(request("tools/call", name=5)).json()["error"]["code"] == -32602


def test_the_stateless_protocol_begins_without_initialize(post: Any) -> None:
    discovered = post(request("server/discover", _meta=META), **modern("server/discover")).json()["result"]
    assert MODERN in discovered["supportedVersions"]
    listed = post(request("tools/list", _meta=META), **modern("tools/list"))
    assert "Mcp-Session-Id" not in listed.headers
    assert listed.json()["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    ("headers", "meta", "code"),
    [
        (modern("tools/list"), {}, -32602),
        (modern("tools/call"), META, -32020),
        ({"Mcp-Protocol-Version": MODERN}, META, -32020),
        (modern("tools/list", **{"Mcp-Protocol-Version": "2027-01-01"}), META, -32020),
    ],
)
def test_headers_and_body_say_the_same(post: Any, headers: dict[str, str], meta: Any, code: int) -> None:
    refused = post(request("tools/list", _meta=meta), **headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)


def test_an_unknown_version_is_told_which_there_are(post: Any) -> None:
    meta = {**META, "io.modelcontextprotocol/protocolVersion": "2027-01-01"}
    headers = modern("tools/list", **{"Mcp-Protocol-Version": "2027-01-01"})
    error = post(request("tools/list", _meta=meta), **headers).json()["error"]
    assert (error["code"], error["data"]["supported"]) == (-32022, [MODERN])
