"""Faults, latency and the journal, seen with a plain HTTP client; most are at home in both emulators."""

import json
import socket
import time

import httpx
import pytest

from tests.emulators import journal
from tests.emulators.faults import Fault
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.server import Running
from tests.emulators.test_gemini import ASKED, EMBEDDING, MODEL

GENERATE = f"{MODEL}:generateContent"
STREAM = f"{MODEL}:streamGenerateContent?alt=sse"


def ask(google: httpx.Client) -> httpx.Response:
    return google.post(GENERATE, json=ASKED)


def test_a_fault_lasts_as_often_as_it_was_told(google: httpx.Client, gemini: GeminiEmulator) -> None:
    gemini.fault("generateContent", "503", times=2)
    assert [ask(google).status_code for _ in range(3)] == [503, 503, 200]


def test_faults_come_one_after_the_other_and_only_on_their_route(google: httpx.Client, gemini: GeminiEmulator) -> None:
    gemini.fault("generateContent", "500", times=1)
    gemini.fault("generateContent", "429", times=1, retry_after=3)
    assert google.post(f"{MODEL}:countTokens", json=ASKED).status_code == 200
    assert ask(google).status_code == 500
    limited = ask(google)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    assert limited.json()["error"]["details"][0]["retryDelay"] == "3s"


def test_a_fault_of_every_route(google: httpx.Client, gemini: GeminiEmulator) -> None:
    gemini.fault("*", "400")
    assert {google.get("/v1beta/models").status_code, ask(google).status_code} == {400}


def test_an_unknown_fault_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no such fault"):
        Fault("flood")


@pytest.mark.parametrize(
    ("kind", "seconds", "error"),
    [
        ("rst", 10, httpx.ReadError),
        ("hang", 0.4, httpx.ReadTimeout),
        ("cutbody", 10, httpx.RemoteProtocolError),
        ("dripbody", 0.4, TimeoutError),
    ],
)
def test_faults_of_the_connection(
    google: httpx.Client, gemini: GeminiEmulator, kind: str, seconds: float, error: type[Exception]
) -> None:
    gemini.fault("*", kind)
    with pytest.raises(error):
        read_for(google, seconds)


def test_headers_that_never_end(gemini_server: Running[GeminiEmulator], gemini: GeminiEmulator) -> None:
    gemini.fault("*", "slowhdr", seconds=0.01)
    address = gemini_server.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=2) as connection:
        connection.sendall(f"GET {MODEL} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        time.sleep(0.3)
        received = connection.recv(1000)
    assert received.startswith(b"HTTP/1.1 200 OK\r\nx-padding: aaa")
    assert b"\r\n\r\n" not in received


def read_for(google: httpx.Client, seconds: float) -> None:
    with google.stream("POST", GENERATE, json=ASKED, timeout=seconds) as response:
        started = time.monotonic()
        for _ in response.iter_raw():
            if time.monotonic() - started > seconds:
                raise TimeoutError


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        ("html502", 502, b"<html"),
        ("empty200", 200, b""),
        ("notjson", 200, b"Service"),
        ("longjson", 200, b"not json"),
        ("badbytes", 200, b'{"namespace": "\xff'),
        ("redirect", 307, b""),
        ("wrongshape", 200, b'{"candidates": "seven"'),
    ],
)
def test_faults_of_the_answer(
    google: httpx.Client, gemini: GeminiEmulator, kind: str, status: int, start: bytes
) -> None:
    gemini.fault("*", kind)
    response = ask(google)
    assert response.status_code == status
    assert response.content.startswith(start)


def test_a_bomb_is_small_on_the_wire(google: httpx.Client, gemini: GeminiEmulator) -> None:
    gemini.fault("*", "gzipbomb", megabytes=16)
    response = ask(google)
    assert int(response.headers["content-length"]) < 200_000
    assert len(response.content) == 16 * 2**20


def test_a_huge_line_has_no_end(google: httpx.Client, gemini: GeminiEmulator) -> None:
    gemini.fault("streamGenerateContent", "hugeline", megabytes=3)
    assert b"\n" not in google.post(STREAM, json=ASKED).content


@pytest.mark.parametrize("kind", ["cut", "cutrst"])
def test_a_stream_is_cut_after_its_first_pieces(google: httpx.Client, gemini: GeminiEmulator, kind: str) -> None:
    gemini.fault("streamGenerateContent", kind, after=1)
    with pytest.raises(httpx.TransportError):
        google.post(STREAM, json=ASKED)
    wait_until_closed(gemini)
    assert (gemini.journal.calls[0].pieces, gemini.journal.calls[0].ended) == (1, "cut")


def wait_until_closed(gemini: GeminiEmulator) -> None:
    deadline = time.monotonic() + 2
    while gemini.journal.open_streams and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("err_first", b'data: {"error": {"code": 503'),
        ("err_mid", b'{"error": {"code": 500'),
        ("badutf8", b"\xff\xfe"),
        ("nul", b"\\u0000"),
        ("safety", b'"finishReason": "SAFETY"'),
        ("blocked", b'"blockReason"'),
        ("maxtok", b'"finishReason": "MAX_TOKENS"'),
        ("oddfinish", b'"finishReason": "MALFORMED_FUNCTION_CALL"'),
        ("neguse", b'"candidatesTokenCount": -'),
        ("fakesse", b"\\n\\nevent: done\\n"),
        ("xss", b"<script>"),
    ],
)
def test_faults_of_a_streams_content(google: httpx.Client, gemini: GeminiEmulator, kind: str, part: bytes) -> None:
    gemini.fault("streamGenerateContent", kind, after=1)
    assert part in google.post(STREAM, json=ASKED).content


@pytest.mark.parametrize(("kind", "part"), [("nofinish", b"finishReason"), ("nouse", b"usageMetadata")])
def test_what_a_stream_lacks(google: httpx.Client, gemini: GeminiEmulator, kind: str, part: bytes) -> None:
    gemini.fault("streamGenerateContent", kind)
    assert part not in google.post(STREAM, json=ASKED).content


@pytest.mark.parametrize(
    ("kind", "lengths"), [("dim", [8, 7]), ("short", [8]), ("nan", [8, 8]), ("zero", [8, 8]), ("novalues", [8, 0])]
)
def test_faults_of_vectors(google: httpx.Client, gemini: GeminiEmulator, kind: str, lengths: list[int]) -> None:
    gemini.fault("batchEmbedContents", kind)
    items = [{"content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 8}] * 2
    answer = json.loads(google.post(f"{EMBEDDING}:batchEmbedContents", json={"requests": items}).text)
    vectors = [entry.get("values", []) for entry in answer["embeddings"]]
    assert [len(vector) for vector in vectors] == lengths
    assert kind != "nan" or vectors[1][0] != vectors[1][0]
    assert kind != "zero" or not any(vectors[1])


def test_latency_of_a_call_and_of_a_piece(google: httpx.Client, gemini: GeminiEmulator) -> None:
    gemini.script.latency("*", call=0.1, piece=0.05)
    started = time.monotonic()
    pieces = google.post(STREAM, json=ASKED).text.count("data: ")
    assert time.monotonic() - started >= 0.1 + 0.05 * pieces


def test_the_journal_keeps_the_request_and_no_key(google: httpx.Client, gemini: GeminiEmulator) -> None:
    ask(google)
    (call,) = gemini.journal.calls
    assert (call.route, call.method, call.path, call.body) == ("generateContent", "POST", GENERATE, ASKED)
    assert call.has_key
    assert "the-key" not in json.dumps(google.get("/__control").json())


def test_the_journal_forgets_old_calls_and_counts_them_all(
    google: httpx.Client, gemini: GeminiEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "KEPT_CALLS", 3)
    for _ in range(5):
        google.get("/v1beta/models")
    assert [call.number for call in gemini.journal.calls] == [2, 3, 4]
    assert (gemini.journal.count(), gemini.journal.count("models")) == (5, 5)


def test_the_journal_sees_a_client_leave(google: httpx.Client, gemini: GeminiEmulator) -> None:
    gemini.fault("streamGenerateContent", "stall", after=1)
    with google.stream("POST", STREAM, json=ASKED) as response:
        parts = response.iter_raw()
        next(parts)
        assert gemini.journal.open_streams == 1
    wait_until_closed(gemini)
    assert [call.ended for call in gemini.journal.calls] == ["client_closed"]


def test_everything_can_be_scripted_over_http(google: httpx.Client) -> None:
    order = {
        "faults": [{"route": "generateContent", "kind": "429", "times": 1, "retry_after": 2}],
        "latency": [{"route": "countTokens", "call": 0.01}],
    }
    state = google.post("/__control", json=order).json()
    assert state["faults"]["generateContent"][0]["kind"] == "429"
    assert state["latency"]["countTokens"]["call"] == 0.01
    assert [ask(google).status_code for _ in range(2)] == [429, 200]
    assert google.get("/__control").json()["counts"] == {"generateContent": 2}
    assert google.post("/__control", json={"reset": True}).json()["counts"] == {}


def test_a_wrong_order_is_refused(google: httpx.Client) -> None:
    assert google.post("/__control", json={"faults": [{"route": "x", "kind": "flood"}]}).status_code == 400
    assert google.post("/__control", content=b"{").status_code == 400


def test_pinecones_lag_is_scripted_and_its_vectors_wiped(index: httpx.Client) -> None:
    index.post("/vectors/upsert", json={"vectors": [{"id": "a", "values": [1, 2, 3]}], "namespace": "n"})
    assert index.get("/__control").json()["indexes"]["chatsphere"] == {"n": 1}
    state = index.post("/__control", json={"lag": 1.5, "wipe": True}).json()
    assert (state["lag"], state["indexes"]["chatsphere"]) == (1.5, {})


def test_a_key_that_is_repeated_in_an_error(index: httpx.Client) -> None:
    index.post("/__control", json={"faults": [{"route": "query", "kind": "echo_key"}]})
    assert "the-key" in index.post("/query", json={}).text
