"""Agents of a domain: what they see in a question, and what they add to the instructions."""

import json

import pytest

from agent_service.contract import MAX_TERMS, RetrieveRequest
from agent_service.errors import UpstreamError
from agent_service.pipeline.agents.analysing import by_words, looked_at
from agent_service.pipeline.agents.registry import FOLDER, Agent, read_agents
from agent_service.pipeline.answering import Speaker
from agent_service.pipeline.calling import Limits, Policy, Upstream
from tests.agent_service.calls import Caller, asking, passage
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedChat, says

CAIRO = read_agents(FOLDER).get("cairo_coder")
SCARB = read_agents(FOLDER).get("scarb_assistant")
QUESTION = "How do I store a mapping in my token contract?"


class ToolScripted(ScriptedChat):
    """A language model, which the keyless answerer is not."""

    def step(self, *_: object, **__: object) -> None:
        raise NotImplementedError


def speaker(chat: ScriptedChat) -> Speaker:
    return Speaker(chat, Upstream(chat.id, Policy()), Limits(5))


def retrieving(query: str = QUESTION, **fields: object) -> RetrieveRequest:
    values = {"embedding": "fake:letters:8", "query": query, "limit": 5, "rewriting": "model", **fields}
    return RetrieveRequest.model_validate(values)


def test_words_decide_without_a_model() -> None:
    seen = by_words(CAIRO, QUESTION)
    assert (seen.contract, seen.test) == (True, False)
    assert "Map storage type" in seen.terms
    assert seen.resources[0] == "The Cairo Programming Language"


def test_a_word_within_another_is_none_of_ours() -> None:
    assert not by_words(SCARB, "What is a contest?").test


@pytest.mark.parametrize("agent", [CAIRO, SCARB], ids=lambda agent: agent.id)
async def test_terms_and_titles_are_searched_beside_the_question(agent: Agent) -> None:
    request, usage = await looked_at(retrieving("How do I test a contract?"), agent=agent, speaker=None)
    assert usage is None
    assert 1 < len(request.terms) <= MAX_TERMS
    assert "Starknet Foundry" in request.terms


async def test_a_model_is_asked_once_and_does_not_rewrite_as_well() -> None:
    told = {"terms": ["Map"], "resources": ["cairo_book", "made_up"], "contract": True, "test": False}
    chat = ToolScripted(says("Here: ", json.dumps(told)).scripts)
    request, usage = await looked_at(retrieving(), agent=CAIRO, speaker=speaker(chat))
    assert request.terms == ["Map", "The Cairo Programming Language"]
    assert (request.rewriting, usage is not None, chat.opened) == ("words", True, 1)


@pytest.mark.parametrize("said", ["no object at all", '{"terms": 7}'])
async def test_a_model_that_says_nothing_usable_leaves_it_to_the_words(said: str) -> None:
    chat = ToolScripted(says(said).scripts)
    request, _ = await looked_at(retrieving(), agent=CAIRO, speaker=speaker(chat))
    assert request.terms == by_words(CAIRO, QUESTION).searched


async def test_a_model_that_fails_leaves_it_to_the_words() -> None:
    chat = ToolScripted([(UpstreamError("unavailable", "fake:chat"),)])
    request, usage = await looked_at(retrieving(), agent=CAIRO, speaker=speaker(chat))
    assert (request.terms, usage) == (by_words(CAIRO, QUESTION).searched, None)


@pytest.mark.parametrize(
    ("question", "contract", "test"),
    [("What is a felt252?", False, False), ("Write a contract", True, False), ("Fuzz this function", False, True)],
)
def test_templates_go_with_what_is_asked(start_agent: StartAgent, question: str, contract: bool, test: bool) -> None:
    chat = says("Yes.")
    start_agent(chat).post("/chat", asking(question, passage("x"), agent="cairo_coder", instructions="Be brief."))
    system = chat.prompts[0].system
    assert ("starknet::interface" in system, "snforge" in system or "Starknet Foundry" in system) == (contract, test)
    assert "Be brief." in system
    assert "marked cairo" in system


def test_passages_as_they_are(keyless: Caller) -> None:
    first, second = passage("The dog weighs 12 kg [4]."), passage("It likes bones.")
    request = asking("How much does the dog weigh?", first, second, model="local:passages", agent="passages")
    answer = keyless.post("/chat", request).json()
    assert answer["text"] == "“The dog weighs 12 kg (4).” [1]\n\n“It likes bones.” [2]"
    assert [one["quote"] for one in answer["citations"]] == [first["text"], second["text"]]
    assert (answer["usage"]["input_tokens"], answer["finish_reason"]) == (0, "stop")
