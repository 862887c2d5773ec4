"""What the agent says about its models: which there are, what they can and cost, how many tokens a text has."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from agent_service.errors import UpstreamError
from agent_service.pipeline.tokens import estimated_tokens
from agent_service.ports import Prompt
from tests.agent_service.calls import Caller, asking
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedChat, follows, says

COUNTED = {"model": "fake:chat", "text": "How long is the Elbe?", "instructions": "Be brief."}


class CountingChat(ScriptedChat):
    """A model whose vendor counts 42 tokens in everything, or fails."""

    fault: Exception | None = None
    counted: Prompt | None = None

    async def count_tokens(self, prompt: Prompt) -> int:
        self.counted = prompt
        if self.fault:
            raise self.fault
        return 42


def test_every_provider_is_listed_with_what_it_has(keyless: Caller) -> None:
    [local] = keyless.get("/providers").json()["providers"]
    assert (local["id"], local["name"], local["local"], local["state"]) == ("local", "This service", True, "ok")
    assert local["models"] == ["local:extractive"]
    assert "local:wordllama:256" in local["embeddings"]


def test_a_provider_that_is_left_alone_says_so(start_agent: StartAgent) -> None:
    down = follows(UpstreamError("unavailable", "fake:chat", status=503))
    caller = start_agent(down, model_retries=0, breaker_failures=1, breaker_seconds=60)
    caller.events(asking("Long?"))
    [fake] = caller.get("/providers").json()["providers"]
    assert (fake["id"], fake["state"]) == ("fake", "resting")


@pytest.mark.parametrize("wanted", ["local:extractive", "extractive", "Quotes from the documents"])
def test_a_model_is_found_by_its_id_and_by_its_names(keyless: Caller, wanted: str) -> None:
    model = keyless.get(f"/models/{wanted}").json()
    assert (model["id"], model["provider"], model["default"]) == ("local:extractive", "local", True)
    assert model in keyless.get("/models").json()["models"]


@pytest.mark.parametrize("wanted", ["google:gemini-2.5-flash", "x", "a/b/c"])
def test_a_model_that_is_not_there_is_not_found(keyless: Caller, wanted: str) -> None:
    response = keyless.get(f"/models/{wanted}")
    assert (response.status_code, response.json()["code"]) == (404, "model_unknown")


def test_tokens_are_counted_by_the_vendor_where_it_counts(start_agent: StartAgent) -> None:
    model = CountingChat()
    history = [{"role": "user", "text": "Hello"}]
    answer = start_agent(model).post("/count-tokens", COUNTED | {"history": history}).json()
    assert answer == {"model": "fake:chat", "input_tokens": 42, "estimated": False}
    assert model.counted is not None
    assert (model.counted.system, model.counted.message) == (COUNTED["instructions"], COUNTED["text"])
    assert [turn.text for turn in model.counted.history] == ["Hello"]


def test_and_estimated_where_it_does_not(start_agent: StartAgent) -> None:
    answer = start_agent(says("Yes.")).post("/count-tokens", COUNTED).json()
    tokens = estimated_tokens(COUNTED["text"]) + estimated_tokens(COUNTED["instructions"])
    assert answer == {"model": "fake:chat", "input_tokens": tokens, "estimated": True}


def test_or_where_it_fails(start_agent: StartAgent) -> None:
    model = CountingChat()
    model.fault = UpstreamError("unavailable", "fake:chat", status=503)
    response = start_agent(model).post("/count-tokens", COUNTED)
    assert (response.status_code, response.json()["estimated"]) == (200, True)


def test_the_keyless_answer_costs_the_operator_nothing(keyless: Caller) -> None:
    request = {"model": "local:extractive", "input_tokens": 10**6, "output_tokens": 10**6}
    cost = keyless.post("/estimate-cost", request).json()
    assert (cost["currency"], Decimal(cost["total"])) == ("USD", Decimal(0))
    assert date.fromisoformat(cost["priced_on"]).year >= 2025


def test_a_cost_that_nobody_knows_is_not_made_up(start_agent: StartAgent) -> None:
    request = {"model": "fake:chat", "input_tokens": 1, "output_tokens": 1}
    response = start_agent().post("/estimate-cost", request)
    assert (response.status_code, response.json()["code"]) == (422, "price_unknown")


@pytest.mark.parametrize("path", ["/count-tokens", "/estimate-cost"])
def test_a_model_that_is_not_offered_is_refused(keyless: Caller, path: str) -> None:
    fields: dict[str, Any] = {"/count-tokens": {"text": "x"}, "/estimate-cost": {"input_tokens": 1, "output_tokens": 1}}
    response = keyless.post(path, {"model": "openai:gpt-5"} | fields[path])
    assert (response.status_code, response.json()["code"]) == (422, "model_unknown")


def test_a_question_may_name_fallbacks_and_those_that_are_gone_are_left_out(start_agent: StartAgent) -> None:
    events = start_agent(says("Yes.")).events(asking("Long?", fallbacks=["gone:model", "fake:chat"]))
    assert events[-1][0] == "done"


def test_an_image_is_refused_before_anything_is_asked(start_agent: StartAgent) -> None:
    model = says("Yes.")
    image = {"media_type": "image/png", "data": "iVBORw0KGgoAAAANSUhEUg=="}
    response = start_agent(model).post("/chat", asking("What is this?", images=[image]))
    assert (response.status_code, response.json()["code"], model.opened) == (422, "image_unsupported", 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"images": [{"media_type": "image/svg+xml", "data": "A" * 20}]},
        {"images": [{"url": "http://example.com/cat.png"}]},
        {"images": [{"media_type": "image/png", "data": "A" * 20}] * 5},
        {"fallbacks": ["a:b", "c:d", "e:f"]},
    ],
    ids=["another type", "an address", "too many", "too many fallbacks"],
)
def test_what_the_contract_does_not_know_is_refused(start_agent: StartAgent, fields: dict[str, Any]) -> None:
    response = start_agent().post("/chat", asking("Well?", **fields))
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
