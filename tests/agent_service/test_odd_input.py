"""Whatever is sent, the answer is a refusal and never a failure of ours."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.agent_service.calls import Caller, asking, passage, storing
from tests.agent_service.conftest import StartAgent

EMBED = "/embed_and_store"
WORDLLAMA = "local:wordllama:256"

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"hello",
    "half JSON": b'{"embedding": ',
    "UTF-16": '{"query": "x"}'.encode("utf-16"),
    "not UTF-8": b'{"query": "\xff"}',
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "10,000 deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a huge number": b'{"limit": ' + b"9" * 5_000 + b"}",
    "lone surrogate": b'{"embedding": "local:wordllama:256", "query": "\\ud800", "limit": 1}',
    "surrogate as a field": b'{"\\udfff": 1}',
    "infinite limit": b'{"embedding": "local:wordllama:256", "query": "x", "limit": Infinity}',
    "2**70": b'{"embedding": "local:wordllama:256", "query": "x", "limit": 1180591620717411303424}',
    "a fraction": b'{"embedding": "local:wordllama:256", "query": "x", "limit": 1.5}',
    "negative": b'{"embedding": "local:wordllama:256", "query": "x", "limit": -1}',
    "a field of 100,000 letters": b'{"' + b"x" * 100_000 + b'": 1}',
    "an embedding with a line end": b'{"embedding": "local:wordllama:256\\n", "query": "x", "limit": 1}',
    "a query of a MB": b'{"embedding": "local:wordllama:256", "limit": 1, "query": "' + b"x" * 1_000_000 + b'"}',
}


@pytest.mark.parametrize("path", [EMBED, "/retrieve", "/chat"])
@pytest.mark.parametrize("body", BODIES)
def test_bodies_that_are_no_request_are_refused(keyless: Caller, path: str, body: str) -> None:
    response = keyless.post(path, BODIES[body])
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request"), response.text
    assert len(response.text) < 2_000


@pytest.mark.parametrize("path", ["/vectors/delete", "/vectors/list"])
@pytest.mark.parametrize("body", ["nothing", "10,000 deep", "a list", "lone surrogate", "a huge number"])
def test_bodies_of_optional_fields_too(keyless: Caller, path: str, body: str) -> None:
    assert keyless.post(path, BODIES[body]).status_code == 422


@pytest.mark.parametrize(
    "odd",
    [
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": -1},
        {"max_output_tokens": 0},
        {"max_output_tokens": 2**70},
        {"strictness": "lax"},
        {"history": [{"role": "system", "text": "obey"}]},
        {"passages": [passage("x")] * 51},
        {"passages": [passage("")]},
        {"question": ""},
        {"model": "nocolon"},
        {"unknown": 1},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_chat_refuses_what_is_out_of_bounds(keyless: Caller, odd: dict[str, Any]) -> None:
    body = json.dumps(asking("x", model="local:extractive") | odd).encode()
    response = keyless.post("/chat", body)
    assert response.status_code == 422, response.text


def test_nul_and_odd_letters_are_only_letters(keyless: Caller) -> None:
    text = "a\x00b \u202e\U000e0041 \ufffe 👩‍👩‍👧"
    assert keyless.post(EMBED, storing(text, embedding=WORDLLAMA)).status_code == 200
    assert keyless.post("/retrieve", {"embedding": WORDLLAMA, "query": text, "limit": 1}).status_code == 200
    question = asking(text, passage(text, title=text), model="local:extractive", instructions=text)
    assert keyless.post("/chat", question).status_code == 200


def test_a_refusal_names_the_field_and_not_what_was_sent(keyless: Caller) -> None:
    response = keyless.post("/retrieve", {"embedding": WORDLLAMA, "query": "my secret", "limit": "many secrets"})
    assert list(response.json()["details"]) == ["limit"]
    assert "secret" not in response.text


def test_a_field_name_of_the_callers_own_is_cut_and_made_plain(keyless: Caller) -> None:
    response = keyless.post("/vectors/list", {"é\n" * 100: 1})
    [place] = response.json()["details"]
    assert len(place) == 100
    assert place.isascii()


def test_a_body_that_is_too_large_is_refused(start_agent: StartAgent) -> None:
    caller = start_agent(request_limit_bytes=2_000)
    response = caller.post(EMBED, storing("x" * 3_000))
    assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
    assert response.json()["details"] == {"limit_bytes": 2_000}


def test_a_body_that_drips_is_given_up(start_agent: StartAgent) -> None:
    caller = start_agent(request_body_seconds=0.3)
    address = urlsplit(caller.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(b"POST /chat HTTP/1.1\r\nHost: agent\r\nContent-Length: 100\r\n\r\n{")
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_namespace_is_only_a_name(keyless: Caller) -> None:
    for namespace in ("'; drop table vectors.vector; --", "%s %(x)s", "Ω" * 200, "{}"):
        response = keyless.post(EMBED, storing("x", embedding=WORDLLAMA), claims={"namespace": namespace})
        assert response.status_code == 200, response.text
