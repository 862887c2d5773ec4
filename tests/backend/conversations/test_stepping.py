"""Answers that take steps: the tools are used here, the steps are told and kept, and the hold pays for all of them."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from rest_framework.test import APIClient

from agent_service import contract
from backend.bots.models import BotVersion
from backend.bots.services import update_bot
from backend.conversations.models import Answer, AnswerState, Conversation, Step
from backend.conversations.questions.allowance import allowance_for
from backend.conversations.questions.charging import Prices
from backend.credits import services as ledger
from backend.credits.models import Entry, Price
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, QUOTE, Knowledge, wait_for
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

ClientOf = Callable[[User], httpx.Client]
QUESTION = "How often does the moon orbit?"
RESEARCHER = contract.AgentInfo(
    id="researcher", title="", description="", kind="react", default=False, tools=["calculator"]
)


def call(name: str, step: int = 1, **arguments: Any) -> tuple[str, dict[str, Any]]:
    return ("tool_call", {"id": f"{step}.1", "step": step, "name": name, "arguments": arguments})


@pytest.fixture
def stepping(knowledge: Knowledge, agent: ScriptedAgent) -> ScriptedAgent:
    changes = {"agent": "researcher", "tools": ["knowledge_search", "calculator"]}
    update_bot(bot=knowledge.bot, author=knowledge.bot.owner, changes={}, configuration=changes)
    answered = ["Every 27 days", " [1]."]
    agent.answer(call("knowledge_search", query="moon"), *answered, citations=[knowledge.citation()])
    return agent


def asked(client: httpx.Client, conversation: Conversation) -> list[tuple[str, dict[str, Any]]]:
    url = f"conversations/{conversation.pk}/messages/"
    with client.stream("POST", url, json={"text": QUESTION}, headers={"accept": "text/event-stream"}) as response:
        return events(response.read().decode())


def test_a_search_by_a_tool_is_told_kept_and_cited(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    told = asked(client_of(owner), conversation)
    assert [name for name, _ in told if name != "meta"] == ["step", "delta", "citations", "usage", "done"]
    assert stepping.results[0]["passages"][0]["text"] == PAGE
    assert next(data for name, data in told if name == "citations")["citations"][0]["quote"] == QUOTE
    step = Step.objects.get()
    assert (step.number, step.tool, step.arguments, step.result) == (
        1,
        "knowledge_search",
        {"query": "moon"},
        "1 passages",
    )
    shown = client_of(owner).get(f"conversations/{conversation.pk}/messages/").json()["results"][0]["answers"][0]
    assert [one["tool"] for one in shown["steps"]] == ["knowledge_search"]


def test_the_agent_is_told_of_the_bots_tools_and_limits(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    asked(client_of(owner), conversation)
    request = stepping.processed[0]
    assert [tool["name"] for tool in request["tools"]] == ["knowledge_search", "calculator"]
    assert (request["step_limit"], request["seconds_limit"], request["agent"]) == (6, 60, "researcher")


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (call("current_date"), "tool_unknown"),
        (call("calculator", expression="import os"), "not_arithmetic"),
        (call("knowledge_search", query="moon", bot=str(uuid4())), "arguments_invalid"),
    ],
)
def test_what_a_tool_refuses_is_told_to_the_model_and_kept(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation, made: Any, code: str
) -> None:
    stepping.answer(made, "I do not know.")
    told = asked(client_of(owner), conversation)
    assert (stepping.results[0]["error"] != "", stepping.results[0]["passages"]) == (True, [])
    assert Step.objects.get().error_code == code
    assert told[-1][0] == "done"


def test_an_agent_that_leaves_in_the_middle_costs_nothing(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    stepping.steps = [call("knowledge_search", query="moon"), "Every"]
    told = asked(client_of(owner), conversation)
    assert (told[-1][0], told[-1][1]["code"]) == ("error", "agent_garbage")
    assert (Answer.objects.get().charged, Step.objects.count()) == (0, 1)


def test_an_error_of_the_agents_is_ours(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    error = {"code": "upstream_timeout", "message": "Slow.", "retryable": True, "details": {}, "request_id": "-"}
    stepping.steps = [("heartbeat", {}), ("error", error)]
    assert asked(client_of(owner), conversation)[-1][1]["code"] == "upstream_timeout"


def test_a_bot_that_may_degrade_quotes_where_the_model_is_away(
    stepping: ScriptedAgent, knowledge: Knowledge, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    update_bot(bot=knowledge.bot, author=owner, changes={}, configuration={"degrade": True})
    error = {"code": "upstream_unavailable", "message": "Away.", "retryable": True, "details": {}, "request_id": "-"}
    stepping.steps = [("error", error)]
    assert asked(client_of(owner), conversation)[-1][0] == "done"
    answer = Answer.objects.get()
    assert (answer.degraded, answer.charged) == (True, 0)


AWAY = {"code": "upstream_unavailable", "message": "Away.", "retryable": True, "details": {}, "request_id": "-"}


def test_in_the_middle_of_its_steps_too_with_what_they_have_found(
    stepping: ScriptedAgent, knowledge: Knowledge, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    update_bot(bot=knowledge.bot, author=owner, changes={}, configuration={"degrade": True})
    stepping.steps = [call("knowledge_search", query="moon"), ("error", AWAY)]
    told = asked(client_of(owner), conversation)
    assert [name for name, _ in told] == ["meta", "step", "delta", "citations", "usage", "done"]
    answer = Answer.objects.get()
    assert (answer.degraded, answer.charged, answer.steps.count()) == (True, 0, 1)
    assert f"{PAGE} [1]" in answer.text
    assert [asked["lexical_only"] for asked in stepping.retrievals] == [False]
    assert (ledger.account_for(owner).reserved, Entry.objects.filter(kind="settle").count()) == (0, 1)


@pytest.mark.parametrize(
    ("degrade", "steps"),
    [
        (True, ["Every 27 days", ("error", AWAY)]),
        (False, [("error", AWAY)]),
        (True, [("error", AWAY | {"code": "prompt_too_long", "retryable": False})]),
    ],
    ids=["after a word", "not allowed", "the asker's fault"],
)
def test_otherwise_they_end_in_one_error_and_cost_nothing(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation, degrade: bool, steps: Any
) -> None:
    BotVersion.objects.update(degrade=degrade)
    stepping.steps = [call("knowledge_search", query="moon"), *steps]
    names = [name for name, _ in asked(client_of(owner), conversation)]
    assert (names[-1], names.count("error"), names.count("done")) == ("error", 1, 0)
    assert (ledger.account_for(owner).reserved, Answer.objects.get().charged) == (0, 0)


def test_stopping_closes_the_line_to_the_agent(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    stepping.steps = ["Every 27", 0.1, *[("heartbeat", {}), 0.1] * 100]
    client = client_of(owner)
    url = f"conversations/{conversation.pk}/messages/"
    with client.stream("POST", url, json={"text": QUESTION}, headers={"accept": "text/event-stream"}) as response:
        lines = response.iter_lines()
        while "delta" not in next(lines):
            continue
        client.post(f"answers/{Answer.objects.get().pk}/stop/")
        wait_for(lambda: Answer.objects.get().state == AnswerState.STOPPED)
    wait_for(lambda: stepping.open_streams == 0)


def test_the_hold_is_for_all_steps_and_the_charge_for_what_was_used(
    stepping: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    asked(client_of(owner), conversation)
    hold, settle = Entry.objects.get(kind="hold"), Entry.objects.get(kind="settle")
    assert hold.amount == Price.objects.get(model="local:extractive").ceiling(0, 0)
    assert 0 < settle.amount <= hold.amount


def test_passages_as_they_are_have_a_price_of_their_own(
    knowledge: Knowledge, agent: ScriptedAgent, client_of: ClientOf, owner: User, conversation: Conversation
) -> None:
    update_bot(bot=knowledge.bot, author=owner, changes={}, configuration={"agent": "passages"})
    usage = {"provider": "local", "model": "passages", "input_tokens": 0, "output_tokens": 0}
    agent.answer("“It orbits.” [1]", citations=[knowledge.citation()], usage=usage)
    asked(client_of(owner), conversation)
    assert (agent.chats[0]["agent"], agent.chats[0]["model"]) == ("passages", "local:passages")
    assert Entry.objects.filter(kind="settle", price__model="local:passages").count() == 1


def prices(per_answer: int, read: int, written: int) -> Prices:
    return Prices(
        {"fake:chat": Price(model="fake:chat", per_answer=per_answer, input_per_1k=read, output_per_1k=written)}
    )


@pytest.mark.parametrize("limit", [None, 10**6, 40, 3, 1])
def test_the_tokens_that_are_allowed_never_cost_more_than_the_hold(limit: int | None) -> None:
    version = BotVersion(step_limit=8, credit_limit=limit)
    known = prices(2, 1, 4)
    allowance = allowance_for(version, RESEARCHER, QUESTION, known, images=0, max_output_tokens=1024)
    cost = known.first.cost(allowance.max_input_tokens, allowance.max_output_tokens)
    assert cost <= max(allowance.credits, 2 + 1)
    assert limit is None or allowance.credits <= limit
    assert allowance.tools == ["calculator"]


@pytest.mark.django_db
def test_agents_are_listed_for_who_has_signed_in(
    as_user: Callable[[User], APIClient], owner: User, agent: ScriptedAgent
) -> None:
    assert APIClient().get("/api/v1/agents/").status_code == 401
    listed = as_user(owner).get("/api/v1/agents/").json()
    assert (listed[0]["id"], listed[0]["kind"]) == ("default", "rag")


@pytest.mark.django_db
def test_an_agent_that_is_not_there_cannot_be_chosen(
    as_user: Callable[[User], APIClient], owner: User, agent: ScriptedAgent
) -> None:
    body = {"name": "Bot", "configuration": {"agent": "nobody"}}
    response = as_user(owner).post("/api/v1/bots/", body, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "agent_unknown")
