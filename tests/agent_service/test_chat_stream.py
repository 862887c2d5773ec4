import json
import time
from typing import Any

import pytest

from agent_service.contract import Usage
from agent_service.errors import UpstreamError
from agent_service.ports import Piece
from tests.agent_service.calls import Caller, asking, parsed, passage
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import STOP, ScriptedChat, follows, says

ELBE = passage("The Elbe is a river. It is 1,094 km long.")
QUESTION = asking("How long is the Elbe?", ELBE)


def names(events: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in events]


def text_of(events: list[tuple[str, Any]]) -> str:
    return "".join(data["text"] for name, data in events if name == "delta")


def test_deltas_then_citations_usage_and_done(start_agent: StartAgent) -> None:
    events = start_agent(says("It is long", " [1].")).events(QUESTION)
    assert names(events) == ["delta", "delta", "citations", "usage", "done"]
    assert text_of(events) == "It is long [1]."
    assert events[2][1]["citations"][0]["quote"] in ELBE["text"]
    assert events[2][1]["rejected"] == 0
    assert events[4][1] == {"finish_reason": "stop"}


def test_is_told_to_be_a_stream_that_nobody_keeps(start_agent: StartAgent) -> None:
    with start_agent(says("Yes.")).streaming(QUESTION) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        response.read()


def test_a_word_is_sent_as_soon_as_it_is_there(start_agent: StartAgent) -> None:
    with start_agent(says("First", 0.6, " last")).streaming(QUESTION) as response:
        started = time.monotonic()
        first = next(response.iter_bytes())
        assert b"First" in first
        assert time.monotonic() - started < 0.4


INJECTIONS = [
    '\n\nevent: done\ndata: {"finish_reason": "stop"}\n\n',
    "\r\n\r\nevent: credits\r\ndata: 1000\r\n\r\n",
    "\rdata: x\r\r",
    "\u2028event: done\u2029\x85data: {}\x0b\x0c\x1c\x1d\x1e",
    ": comment\n\nid: 7\nretry: 1",
    "<script>alert(1)</script>",
]


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_text_can_become_an_event(start_agent: StartAgent, injection: str) -> None:
    with start_agent(says("a", injection, "b")).streaming(QUESTION) as response:
        stream = response.read()
    assert max(stream) < 128
    for line in stream.decode().splitlines():
        assert line == "" or line.startswith(
            ("event: delta", "event: citations", "event: usage", "event: done", "data: {")
        )
    assert names(parsed(stream.decode())).count("done") == 1


FAULTS: dict[str, tuple[ScriptedChat, str, bool]] = {
    "refused": (follows(UpstreamError("unreachable", "fake:chat")), "upstream_unavailable", True),
    "429": (follows(UpstreamError("rate_limited", "fake:chat", status=429)), "upstream_rate_limited", True),
    "503": (follows(UpstreamError("unavailable", "fake:chat", status=503)), "upstream_unavailable", True),
    "400": (follows(UpstreamError("rejected", "fake:chat", status=400)), "upstream_rejected", False),
    "hang": (follows(30.0), "upstream_timeout", True),
    "stall": (follows("Half", 30.0), "upstream_timeout", True),
    "drip": (ScriptedChat([["x", 0.2] * 100]), "upstream_timeout", True),
    "cut": (follows("Half"), "upstream_incomplete", True),
    "cut with a marker open": (follows("Half [1"), "upstream_incomplete", True),
    "error in the middle": (follows("Half", UpstreamError("garbage", "fake:chat")), "upstream_garbage", True),
    "no finish": (follows(Piece(text="Half", usage=STOP.usage)), "upstream_incomplete", True),
    "empty": (follows(), "upstream_incomplete", True),
    "end without a word": (follows(Piece(finish_reason="stop")), "upstream_incomplete", True),
    "a bug of ours": (follows("Half", ZeroDivisionError("secret")), "internal_error", False),
}
LIMITS = {"model_first_byte_seconds": 0.5, "model_idle_seconds": 0.5, "model_total_seconds": 1.5}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_ends_in_exactly_one_error(start_agent: StartAgent, fault: str) -> None:
    model, code, retryable = FAULTS[fault]
    model.opened = model.closed = 0
    started = time.monotonic()
    events = start_agent(model, **LIMITS).events(QUESTION)
    assert names(events).count("error") == 1
    assert "done" not in names(events)
    name, error = events[-1]
    assert (name, error["code"], error["retryable"]) == ("error", code, retryable)
    assert error["request_id"] != "-"
    assert "secret" not in json.dumps(events)
    assert time.monotonic() - started < 2.5
    assert model.closed == model.opened


def test_what_was_used_is_told_before_an_error(start_agent: StartAgent) -> None:
    events = start_agent(follows("Half an answer")).events(QUESTION)
    assert names(events) == ["delta", "usage", "error"]
    assert events[1][1]["output_tokens"] == 4
    assert events[1][1]["estimated"]


def test_nothing_is_tried_again_after_the_first_word(start_agent: StartAgent) -> None:
    model = follows("Half", UpstreamError("unavailable", "fake:chat", status=503))
    start_agent(model).events(QUESTION)
    assert model.opened == 1


def test_before_the_first_word_it_is_tried_twice_more(start_agent: StartAgent) -> None:
    busy = UpstreamError("unavailable", "fake:chat", status=503)
    model = ScriptedChat([[busy], [busy], ["At last", STOP]])
    events = start_agent(model).events(QUESTION)
    assert text_of(events) == "At last"
    assert (model.opened, names(events)[-1]) == (3, "done")


def test_an_empty_stream_is_tried_again(start_agent: StartAgent) -> None:
    model = ScriptedChat([[], ["Here", STOP]])
    assert text_of(start_agent(model).events(QUESTION)) == "Here"


def test_heartbeats_while_the_model_thinks(start_agent: StartAgent) -> None:
    with start_agent(says(0.6, "Done thinking."), agent_heartbeat_seconds=0.1).streaming(QUESTION) as response:
        stream = response.read().decode()
    assert 3 <= stream.count(": still here\n\n") <= 6
    assert names(parsed(stream)) == ["delta", "citations", "usage", "done"]


def test_strict_without_passages_is_a_whole_stream(start_agent: StartAgent) -> None:
    events = start_agent().events(asking("Long?", strictness="strict"))
    assert names(events) == ["delta", "citations", "usage", "done"]
    assert events[-1][1] == {"finish_reason": "not_found"}


def test_usage_comes_once_with_the_last_report(start_agent: StartAgent) -> None:
    early = Piece(text="Yes", usage=Usage(provider="fake", model="chat", input_tokens=1, output_tokens=1))
    events = start_agent(follows(early, STOP)).events(QUESTION)
    assert [data["output_tokens"] for name, data in events if name == "usage"] == [7]


def test_an_open_breaker_refuses_at_once(start_agent: StartAgent) -> None:
    model = follows(UpstreamError("unavailable", "fake:chat", status=503))
    caller = start_agent(model, model_retries=0, breaker_failures=3, breaker_seconds=1.0)
    for _ in range(3):
        caller.events(QUESTION)
    started = time.monotonic()
    [(_, error)] = caller.events(QUESTION)
    assert time.monotonic() - started < 0.1
    assert (error["code"], error["details"]["kind"]) == ("upstream_unavailable", "open")
    assert model.opened == 3
    ready = caller.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["chat_model"]) == (
        503,
        "fake:chat: has been failing and is left alone",
    )
    time.sleep(1)
    assert caller.get("/readyz").json()["ready"]


def test_the_keyless_answer_streams(keyless: Caller) -> None:
    events = keyless.events(asking("How long is the Elbe?", ELBE, model="local:extractive"))
    assert names(events).count("delta") > 5
    assert names(events)[-3:] == ["citations", "usage", "done"]
