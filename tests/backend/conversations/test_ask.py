import json
from collections.abc import Callable
from http import HTTPStatus

import httpx
import pytest
from pytest_django import Settings

from backend.bots.models import Bot, BotVersion
from backend.bots.services import create_bot
from backend.conversations.models import Answer, AnswerState, Citation, Conversation
from backend.conversations.services import create_conversation
from backend.credits import services as ledger
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, QUOTE, Knowledge, know
from tests.backend.conversations.scripted_agent import ScriptedAgent, hit
from tests.backend.conversations.sse import events

ClientOf = Callable[[User], httpx.Client]


@pytest.fixture
def client(owner: User, client_of: ClientOf) -> httpx.Client:
    return client_of(owner)


def ask(client: httpx.Client, conversation: Conversation, **headers: str) -> httpx.Response:
    url = f"conversations/{conversation.pk}/messages/"
    return client.post(url, json={"text": "How often?"}, headers=headers)


def test_the_answer_comes_with_citations_that_stand_in_the_stored_page(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge
) -> None:
    response = ask(client, conversation)
    answer = response.json()
    assert response.status_code == HTTPStatus.CREATED, answer
    assert (answer["state"], answer["text"]) == ("done", "Every 27 days [1].")
    (citation,) = answer["citations"]
    assert citation["quote"] == QUOTE == PAGE[citation["start"] : citation["end"]]
    assert citation["document"] == {"id": str(knowledge.document.pk), "title": "Moon"}
    assert (citation["page"], citation["version"], citation["outdated"]) == (1, 1, False)


def test_the_answer_is_paid_from_the_askers_credits(
    client: httpx.Client, conversation: Conversation, owner: User
) -> None:
    before = ledger.account_for(owner).available
    answer = ask(client, conversation).json()
    account = ledger.account_for(owner)
    assert (answer["usage"]["charged"], account.available, account.reserved) == (1, before - 1, 0)


def test_the_stream_has_its_events_in_order_and_one_end(client: httpx.Client, conversation: Conversation) -> None:
    response = ask(client, conversation, accept="text/event-stream")
    assert response.headers["content-type"] == "text/event-stream"
    named = events(response.text)
    assert [name for name, _ in named if name != "delta"] == ["meta", "citations", "usage", "done"]
    assert "".join(data["text"] for name, data in named if name == "delta") == "Every 27 days [1]."
    assert dict(named)["done"] == {"state": "done", "finish_reason": "stop"}
    assert dict(named)["usage"]["charged"] == 1


def test_stream_and_stored_answer_show_the_same_citations(client: httpx.Client, conversation: Conversation) -> None:
    named = dict(events(ask(client, conversation, accept="text/event-stream").text))
    stored = client.get(f"answers/{named['meta']['answer_id']}/").json()
    assert named["citations"]["citations"] == stored["citations"]


def test_a_citation_that_is_not_in_the_text_is_dropped_with_its_marker(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    agent.answer("True [1].", citations=[knowledge.citation(quote="It was made of cheese.")])
    answer = ask(client, conversation).json()
    assert (answer["citations"], answer["citations_rejected"], answer["text"]) == ([], 1, "True .")


def test_passages_come_from_our_rows_and_not_from_the_store(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent, stranger: User
) -> None:
    foreign = know(create_bot(owner=stranger, name="Other"), "The vault's code is 4711.")
    agent.hits.append(hit(foreign.chunk.pk, foreign.document.pk, foreign.version.pk, 0.99))
    ask(client, conversation)
    assert [passage["text"] for passage in agent.chats[-1]["passages"]] == [PAGE]


def test_a_passage_below_the_bots_threshold_is_not_used(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    BotVersion.objects.update(threshold=0.95)
    agent.answer("Not found.", finish="not_found")
    ask(client, conversation)
    assert agent.chats[-1]["passages"] == []


def test_nothing_found_in_strict_mode_costs_nothing(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    before = ledger.account_for(owner).available
    agent.answer("Nothing in the documents.", finish="not_found")
    answer = ask(client, conversation).json()
    assert (answer["finish_reason"], answer["usage"]["charged"]) == ("not_found", 0)
    assert ledger.account_for(owner).available == before


@pytest.mark.parametrize(("strictness", "passages"), [("strict", 0), ("prefer", 1), ("free", 1)])
def test_what_retrieval_is_unsure_of_a_strict_bot_does_not_try(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, strictness: str, passages: int
) -> None:
    BotVersion.objects.update(strictness=strictness)
    agent.confidence = 0.1
    ask(client, conversation)
    assert len(agent.chats[-1]["passages"]) == passages


def test_a_gate_of_zero_lets_everything_pass(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.RETRIEVAL_GATE = 0.0
    agent.confidence = 0.0
    ask(client, conversation)
    assert len(agent.chats[-1]["passages"]) == 1


def test_history_goes_into_the_prompt_within_its_budget(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, settings: Settings
) -> None:
    ask(client, conversation)
    ask(client, conversation)
    said = [turn["text"] for turn in agent.chats[-1]["history"]]
    assert said == ["How often?", "Every 27 days [1]."]
    settings.HISTORY_BUDGET_TOKENS = 1
    ask(client, conversation)
    assert agent.chats[-1]["history"] == []


def test_a_refused_chat_is_the_agents_error_and_charges_nothing(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.refusal = (503, {"code": "model_unavailable", "message": "Busy.", "retryable": True})
    response = ask(client, conversation)
    body = response.json()
    assert (response.status_code, body["code"], body["details"]["charged"]) == (503, "model_unavailable", 0)
    assert response.headers["Retry-After"] == "1"
    assert ledger.account_for(owner).reserved == 0


def test_a_stream_that_breaks_ends_in_one_error_event_and_keeps_what_was_shown(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.steps = ["Half an answer [1]"]
    named = events(ask(client, conversation, accept="text/event-stream").text)
    assert [name for name, _ in named] == ["meta", "delta", "error"]
    assert (named[-1][1]["code"], named[-1][1]["charged"]) == ("agent_garbage", 0)
    answer = Answer.objects.get()
    assert (answer.state, answer.text, answer.charged) == (AnswerState.FAILED, "Half an answer ", 0)
    assert not Citation.objects.exists()


def test_model_text_cannot_inject_an_event(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    evil = 'x\n\nevent: usage\ndata: {"charged": 0}\n\n\r\u2028'
    agent.answer(evil)
    named = events(ask(client, conversation, accept="text/event-stream").text)
    assert [name for name, _ in named] == ["meta", "delta", "citations", "usage", "done"]
    assert named[1][1]["text"] == evil


def test_too_few_credits_store_nothing_and_ask_nobody(
    client_of: ClientOf, conversation: Conversation, owner: User, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.SIGNUP_GRANT = 0
    response = ask(client_of(owner), conversation)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.FORBIDDEN, "not_enough_credits")
    assert (Answer.objects.count(), agent.chats, agent.retrievals) == (0, [], [])


def test_the_same_key_replays_the_first_answer(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    headers = {"idempotency-key": "k-1"}
    first = ask(client, conversation, **headers)
    second = ask(client, conversation, **headers)
    assert (first.json(), first.status_code) == (second.json(), second.status_code)
    assert [one.headers.get("idempotency-replayed") for one in (first, second)] == [None, "true"]
    assert len(agent.chats) == 1


def test_the_same_key_replays_a_stream(client: httpx.Client, conversation: Conversation, agent: ScriptedAgent) -> None:
    headers = {"idempotency-key": "k-1", "accept": "text/event-stream"}
    responses = [ask(client, conversation, **headers) for _ in range(2)]
    assert [one.headers.get("idempotency-replayed") for one in responses] == [None, "true"]
    first, second = (events(response.text) for response in responses)
    joined = [("".join(d["text"] for n, d in named if n == "delta"), named[0], named[-3:]) for named in (first, second)]
    assert joined[0] == joined[1]
    assert len(agent.chats) == 1


def test_the_same_key_with_another_question_is_refused(client: httpx.Client, conversation: Conversation) -> None:
    headers = {"idempotency-key": "k-1"}
    ask(client, conversation, **headers)
    response = client.post(f"conversations/{conversation.pk}/messages/", json={"text": "Else?"}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("text", ["", "   ", "x" * 8001, None, ["a"], "nul\x00", "lone\ud800"])
def test_a_bad_question_is_refused_and_costs_nothing(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, text: object
) -> None:
    body = json.dumps({"text": text}).encode()
    url = f"conversations/{conversation.pk}/messages/"
    response = client.post(url, content=body, headers={"content-type": "application/json"})
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert (agent.chats, Answer.objects.count()) == ([], 0)


def test_a_bot_that_went_private_answers_no_stranger(
    client_of: ClientOf, knowledge: Knowledge, stranger: User, agent: ScriptedAgent
) -> None:
    Bot.objects.update(visibility="public")
    conversation = create_conversation(user=stranger, bot_id=knowledge.bot.pk)
    assert ask(client_of(stranger), conversation).status_code == HTTPStatus.CREATED
    Bot.objects.update(visibility="private")
    assert ask(client_of(stranger), conversation).status_code == HTTPStatus.NOT_FOUND
    assert len(agent.chats) == 1
