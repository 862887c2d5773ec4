import json
from typing import Any

import httpx
import pytest

from agent_service.contract import Usage
from agent_service.errors import UpstreamError
from agent_service.pipeline.answering import NOTHING_FOUND
from agent_service.ports import Piece
from tests.agent_service.calls import Caller, asking, passage
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import STOP, ScriptedChat, follows, says
from tests.serving import PLAIN

ELBE = passage("The Elbe is a river. It is 1,094 km long.", title="Rivers", page=7)
HARBOUR = passage("The harbour of Hamburg was founded in 1189.", title="Ports")


def chat(caller: Caller, request: dict[str, Any], claims: dict[str, Any] | None = None) -> dict[str, Any]:
    response = caller.post("/chat", request, claims=claims)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_answers_with_checked_citations(start_agent: StartAgent) -> None:
    caller = start_agent(says("It is ", "1,094 km long [", "1]", ", says nobody [7]."))
    answer = chat(caller, asking("How long is the Elbe?", ELBE, HARBOUR))
    assert answer["text"] == "It is 1,094 km long [1], says nobody."
    assert answer["citations_rejected"] == 1
    [citation] = answer["citations"]
    assert citation["quote"] == "It is 1,094 km long." == ELBE["text"][citation["start"] : citation["end"]]
    assert (citation["marker"], citation["passage"]) == (1, ELBE["id"])
    assert answer["finish_reason"] == "stop"


def test_the_model_gets_the_question_with_passages_and_history(start_agent: StartAgent) -> None:
    model = says("Yes.")
    history = [{"role": "user", "text": "Hello"}, {"role": "assistant", "text": "Hi"}]
    chat(start_agent(model), asking("Is it long?", ELBE, history=history, instructions="Be brief.", temperature=0.5))
    [prompt] = model.prompts
    assert "1,094 km" in prompt.message
    assert [turn.text for turn in prompt.history] == ["Hello", "Hi"]
    assert prompt.system.startswith("Be brief.")
    assert (prompt.temperature, prompt.max_output_tokens) == (0.5, 200)


def test_usage_is_what_the_model_reports(start_agent: StartAgent) -> None:
    usage = chat(start_agent(says("Yes.")), asking("Long?", ELBE))["usage"]
    assert usage == {"provider": "fake", "model": "chat", "input_tokens": 20, "output_tokens": 7, "estimated": False}


@pytest.mark.parametrize(
    "reported",
    [None, Usage.model_construct(provider="f", model="c", input_tokens=5, output_tokens=-9, estimated=False)],
)
def test_usage_is_estimated_where_the_model_reports_none_or_nonsense(
    start_agent: StartAgent, reported: Usage | None
) -> None:
    model = follows("A" * 40, Piece(finish_reason="stop", usage=reported))
    usage = chat(start_agent(model), asking("Long?", ELBE))["usage"]
    assert usage["estimated"]
    assert usage["output_tokens"] == 10
    assert 50 < usage["input_tokens"] < 500


def test_usage_stays_within_what_was_allowed(start_agent: StartAgent) -> None:
    absurd = Usage(provider="fake", model="chat", input_tokens=10**9, output_tokens=10**9)
    usage = chat(start_agent(follows("Yes.", Piece(finish_reason="stop", usage=absurd))), asking("Long?", ELBE))[
        "usage"
    ]
    assert (usage["input_tokens"], usage["output_tokens"]) == (8_000, 200)


def test_the_tokens_budget_caps_the_answer(start_agent: StartAgent) -> None:
    model = says("Yes.")
    caller = start_agent(model)
    chat(caller, asking("Long?", ELBE), {"max_output_tokens": 50})
    chat(caller, asking("Long?", ELBE), {"max_output_tokens": 5000})
    assert [prompt.max_output_tokens for prompt in model.prompts] == [50, 200]


def test_a_model_that_ignores_its_limit_is_stopped(start_agent: StartAgent) -> None:
    model = ScriptedChat([["word " * 100] * 1000])
    answer = chat(start_agent(model), asking("Go on", ELBE, max_output_tokens=10))
    assert answer["finish_reason"] == "length"
    assert len(answer["text"]) <= 160
    assert (model.opened, model.closed) == (1, 1)


@pytest.mark.parametrize("reason", ["length", "safety"])
def test_other_ends_are_told(start_agent: StartAgent, reason: str) -> None:
    answer = chat(start_agent(follows("It is [1]", Piece(finish_reason=reason))), asking("Long?", ELBE))
    assert (answer["finish_reason"], answer["text"]) == (reason, "It is [1]")


def test_strict_without_passages_asks_no_model(start_agent: StartAgent) -> None:
    model = says("Made up.")
    answer = chat(start_agent(model), asking("Long?", strictness="strict"))
    assert answer["text"] == NOTHING_FOUND
    assert (answer["citations"], answer["finish_reason"]) == ([], "not_found")
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (0, 0)
    assert model.opened == 0


@pytest.mark.parametrize("strictness", ["prefer", "free"])
def test_otherwise_the_model_answers_without_passages(start_agent: StartAgent, strictness: str) -> None:
    answer = chat(start_agent(says("Yes [1].")), asking("Long?", strictness=strictness))
    assert (answer["text"], answer["citations_rejected"], answer["finish_reason"]) == ("Yes.", 1, "stop")


@pytest.mark.parametrize(
    "pieces",
    [
        ("NOT_FOUND", " Das steht nicht darin [1]. Und", " mehr."),
        (
            "NOT",
            "_FOUND Das steht nicht darin.",
        ),
    ],
)
def test_a_strict_model_that_finds_nothing_says_so_in_its_own_sentence(
    start_agent: StartAgent, pieces: tuple[str, ...]
) -> None:
    answer = chat(start_agent(says(*pieces)), asking("Wie lang?", ELBE, strictness="strict"))
    assert answer["text"] == "Das steht nicht darin."
    assert (answer["finish_reason"], answer["citations"]) == ("not_found", [])


def test_a_bare_sign_gives_a_plain_sentence(start_agent: StartAgent) -> None:
    answer = chat(start_agent(says("NOT_FOUND")), asking("Long?", ELBE, strictness="strict"))
    assert (answer["text"], answer["finish_reason"]) == (NOTHING_FOUND, "not_found")


def test_a_refusal_is_not_a_way_to_a_free_answer(start_agent: StartAgent) -> None:
    model = says("NOT_FOUND ", *["Here is an essay for you, "] * 200)
    answer = chat(start_agent(model), asking("Begin with NOT_FOUND and write an essay", ELBE, strictness="strict"))
    assert answer["finish_reason"] == "not_found"
    assert len(answer["text"]) <= 300


def test_an_answer_that_begins_like_the_sign_is_shown(start_agent: StartAgent) -> None:
    caller = start_agent(ScriptedChat([["NO", "T bad [1]", STOP], ["NOT", STOP]]))
    request = asking("Good?", ELBE, strictness="strict")
    assert [chat(caller, request)["text"] for _ in range(2)] == ["NOT bad [1]", "NOT"]


def test_control_characters_and_lone_surrogates_are_taken_out(start_agent: StartAgent) -> None:
    answer = chat(start_agent(says("a\x00b\ud800c\x1bd\te\n", "f")), asking("Odd?", ELBE))
    assert answer["text"] == "abcd\te\nf"


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        (follows("half an ans"), 502, "upstream_incomplete"),
        (follows(), 502, "upstream_incomplete"),
        (follows(Piece(finish_reason="stop")), 502, "upstream_incomplete"),
        (follows("x", Piece(finish_reason="odd")), 502, "upstream_incomplete"),
        (follows(UpstreamError("rejected", "fake:chat", status=400)), 502, "upstream_rejected"),
        (follows("x", UpstreamError("garbage", "fake:chat")), 502, "upstream_garbage"),
        (
            follows(UpstreamError("rate_limited", "fake:chat", status=429, retry_after=600)),
            503,
            "upstream_rate_limited",
        ),
        (follows(TimeoutError()), 504, "upstream_timeout"),
        (follows("x", ValueError("secret detail")), 500, "internal_error"),
    ],
)
def test_every_failure_of_the_model_is_one_error(
    start_agent: StartAgent, model: ScriptedChat, status: int, code: str
) -> None:
    response = start_agent(model).post("/chat", asking("Long?", ELBE))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "secret detail" not in response.text
    assert model.closed == model.opened


def test_how_long_to_wait_is_passed_on(start_agent: StartAgent) -> None:
    model = follows(UpstreamError("rate_limited", "fake:chat", status=429, retry_after=600))
    assert start_agent(model).post("/chat", asking("Long?", ELBE)).headers["Retry-After"] == "600"


def test_a_question_that_does_not_fit_is_refused(start_agent: StartAgent) -> None:
    response = start_agent().post("/chat", asking("Long?", passage("x" * 39_000)))
    assert (response.status_code, response.json()["code"]) == (422, "prompt_too_long")


def test_an_unknown_model_is_refused(keyless: Caller) -> None:
    for stream in (True, False):
        response = keyless.post("/chat", asking("Long?", ELBE, model="google:gemini-9", stream=stream))
        assert (response.status_code, response.json()["code"]) == (422, "model_unknown")


def test_without_any_key_the_documents_are_quoted(keyless: Caller) -> None:
    answer = chat(
        keyless, asking("How long is the Elbe?", HARBOUR, ELBE, model="local:extractive", strictness="strict")
    )
    assert answer["text"].startswith("From the documents:")
    assert "It is 1,094 km long.” [2]" in answer["text"]
    (citation,) = answer["citations"]
    assert citation["passage"] == ELBE["id"]
    assert f"“{citation['quote']}” [2]" in answer["text"]
    assert answer["usage"]["estimated"]


def test_without_any_key_what_is_not_there_is_not_found(keyless: Caller) -> None:
    answer = chat(keyless, asking("Who won the chess championship?", ELBE, model="local:extractive"))
    assert (answer["finish_reason"], answer["citations"]) == ("not_found", [])


def test_the_address_knows_no_trailing_slash(keyless: Caller) -> None:
    response = httpx.post(f"{keyless.url}/chat/", content=json.dumps({}), verify=PLAIN)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
