"""Where the owner allows it, passages are quoted, free of charge, while what answers cannot be had."""

import httpx
import pytest
from pytest_django import Settings

from backend import agent_client
from backend.bots.models import BotVersion
from backend.conversations.answers.degrading import INTRODUCTION
from backend.conversations.models import Answer, AnswerState, Conversation
from backend.credits import services as ledger
from backend.documents.models import Chunk, Page
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, ask
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

DOWN = (503, {"code": "upstream_unavailable", "message": "It cannot be reached.", "retryable": True})


@pytest.fixture
def allowed(conversation: Conversation) -> None:
    BotVersion.objects.update(degrade=True)


@pytest.fixture(params=["the model", "the store"])
def down(request: pytest.FixtureRequest, agent: ScriptedAgent, conversation: Conversation) -> str:
    if request.param == "the model":
        agent.refusal = DOWN
    else:
        agent.retrieval_refusal = DOWN
    return str(request.param)


def test_passages_are_quoted_marked_and_free(
    client: httpx.Client, conversation: Conversation, allowed: None, down: str, owner: User
) -> None:
    before = ledger.account_for(owner).available
    answer = ask(client, conversation).json()
    assert (answer["degraded"], answer["finish_reason"], answer["usage"]["charged"]) == (True, "degraded", 0)
    assert f"{PAGE} [1]" in answer["text"]
    assert [citation["quote"] for citation in answer["citations"]] == [PAGE]
    assert (ledger.account_for(owner).available, ledger.account_for(owner).reserved) == (before, 0)


def test_without_the_owners_leave_it_is_a_503_and_free(
    client: httpx.Client, conversation: Conversation, down: str, owner: User
) -> None:
    response = ask(client, conversation)
    assert (response.status_code, response.json()["code"]) == (503, "upstream_unavailable")
    assert (ledger.account_for(owner).reserved, Answer.objects.get().charged) == (0, 0)


def test_without_the_store_the_words_are_searched_and_no_model_is_asked(
    client: httpx.Client, conversation: Conversation, allowed: None, agent: ScriptedAgent
) -> None:
    agent.retrieval_refusal = DOWN
    ask(client, conversation)
    assert [asked["lexical_only"] for asked in agent.retrievals] == [False, True]
    assert agent.chats == []


def test_where_the_words_find_nothing_it_says_so(
    client: httpx.Client, conversation: Conversation, allowed: None, agent: ScriptedAgent
) -> None:
    agent.refusal, agent.hits = DOWN, []
    answer = ask(client, conversation).json()
    assert (answer["degraded"], answer["finish_reason"], answer["citations"]) == (True, "not_found", [])


@pytest.mark.parametrize("code", ["upstream_garbage", "upstream_unauthorised"])
def test_any_fault_of_the_vendor_counts(
    client: httpx.Client, conversation: Conversation, allowed: None, agent: ScriptedAgent, code: str
) -> None:
    agent.refusal = (502, {"code": code, "message": "No.", "retryable": False})
    assert ask(client, conversation).json()["degraded"]


def test_what_was_asked_wrongly_is_an_error_and_not_quoted(
    client: httpx.Client, conversation: Conversation, allowed: None, agent: ScriptedAgent
) -> None:
    agent.refusal = (422, {"code": "prompt_too_long", "message": "Too long.", "retryable": False})
    response = ask(client, conversation)
    assert (response.status_code, response.json()["code"]) == (422, "prompt_too_long")


def test_after_the_first_word_nothing_is_put_in_its_place(
    client: httpx.Client, conversation: Conversation, allowed: None, agent: ScriptedAgent
) -> None:
    agent.steps = ["Every", ("error", {**DOWN[1], "details": {}, "request_id": "-"})]
    named = events(ask(client, conversation, headers={"accept": "text/event-stream"}).text)
    assert (named[-1][0], Answer.objects.get().state) == ("error", AnswerState.FAILED)


def test_without_the_agent_itself_it_is_a_503(
    client: httpx.Client,
    conversation: Conversation,
    allowed: None,
    owner: User,
    settings: Settings,
) -> None:
    ask(client, conversation)  # so that the models are known
    for _ in range(settings.AGENT_BREAKER_FAILURES):
        agent_client.breaker.failed()
    response = client.post(f"messages/{Answer.objects.get().message_id}/regenerate/")
    assert (response.status_code, response.json()["code"]) == (503, "agent_unavailable")
    assert ledger.account_for(owner).reserved == 0


def test_a_long_passage_is_cut_between_words_and_its_quote_with_it(
    client: httpx.Client, conversation: Conversation, allowed: None, agent: ScriptedAgent
) -> None:
    long = "word " * 300
    Page.objects.update(text=long)
    Chunk.objects.update(text=long, end=len(long))
    agent.refusal = DOWN
    answer = ask(client, conversation).json()
    (citation,) = answer["citations"]
    assert answer["text"] == f"{INTRODUCTION}\n\n{citation['quote']} [1]"
    assert (len(citation["quote"]) <= 600, citation["quote"][-4:]) == (True, "word")
