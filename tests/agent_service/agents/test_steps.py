"""Agents with steps, over every vendor's wire: tools are asked for and answered, and whatever happens it ends once."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from agent_service.main import create_app
from agent_service.pipeline.agents.framing import ENOUGH
from agent_service.settings import Settings
from tests.agent_service.agents.line import CALCULATOR, SEARCH, calls_of, converse, frames_of, last, line, text_of
from tests.agent_service.calls import Caller, asking, new_caller, passage
from tests.agent_service.vendors import GEMINI, OPENAI, VENDORS, Vendor
from tests.emulators.emulator import Emulator
from tests.emulators.server import Running
from tests.serving import serve

DOG = passage("The dog weighs 12 kg. It likes bones.")
QUESTION = "How much does the dog weigh?"

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name, indirect=True)
one_vendor = pytest.mark.parametrize("vendor", [OPENAI], ids=lambda vendor: vendor.name, indirect=True)

Start = Callable[[Vendor], Caller]


@pytest.fixture(scope="module")
def start(agent_settings: Settings, vendor_servers: dict[str, Running[Emulator]]) -> Iterator[Start]:
    started: dict[str, Caller] = {}
    with ExitStack() as stack:

        def start(vendor: Vendor) -> Caller:
            if vendor.name not in started:
                values = agent_settings.model_dump() | {"model_retries": 0, "agent_heartbeat_seconds": 0.2}
                values |= vendor.settings(vendor_servers[vendor.name].url)
                values |= {"openai_chat_model": "gpt-4.1-mini", "anthropic_chat_model": "claude-haiku-4-5"}
                for endpoint in values["openai_endpoints"]:
                    endpoint["models"] = ["llama3.2"]
                settings = Settings(_env_file=None, **values)
                started[vendor.name] = new_caller(stack.enter_context(serve(create_app(settings))))
            return started[vendor.name]

        yield start


def stepping(question: str, vendor: Vendor, **fields: Any) -> dict[str, Any]:
    request = asking(question, model=vendor.id, agent="researcher", tools=[SEARCH, CALCULATOR])
    return request | {"max_output_tokens": 4000, "step_output_tokens": 200} | fields


def found(*passages: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda _: {"passages": list(passages)}


@every_vendor
def test_a_model_searches_by_a_tool_and_cites_what_was_found(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    events = converse(start(vendor), stepping(QUESTION, vendor), {"knowledge_search": found(DOG)})
    assert calls_of(events) == [("knowledge_search", {"query": QUESTION})]
    assert text_of(events) == "The dog weighs 12 kg. [1]"
    assert last(events, "citations")["citations"][0]["passage"] == DOG["id"]
    assert events[-1] == ("done", {"finish_reason": "stop"})


@every_vendor
def test_several_steps_are_taken_and_paid_together(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    order = 'CALL calculator {"expression": "2 * 12"}'
    tools = {"knowledge_search": lambda _: {"content": order}, "calculator": lambda _: {"content": "SAY 24 kg"}}
    events = converse(start(vendor), stepping(QUESTION, vendor), tools)
    assert calls_of(events) == [("knowledge_search", {"query": QUESTION}), ("calculator", {"expression": "2 * 12"})]
    assert text_of(events) == "24 kg"
    written = [call for call in emulator.journal.calls if call.route == vendor.route]
    assert len(written) == 3
    assert last(events, "usage")["output_tokens"] >= 28 + 1


@one_vendor
def test_steps_before_an_answer_that_was_cut_are_paid(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    order = 'CALL calculator {"expression": "2 * 12"}'
    tools = {"knowledge_search": lambda _: {"content": order}, "calculator": lambda _: {"content": "SAY 24 kg"}}
    uncut = last(converse(start(vendor), stepping(QUESTION, vendor), tools), "usage")
    events = converse(start(vendor), stepping(QUESTION, vendor, stop=[" kg"]), tools)
    assert text_of(events) == "24"
    assert events[-1] == ("done", {"finish_reason": "stop"})
    assert uncut["input_tokens"] / 3 < last(events, "usage")["input_tokens"] <= uncut["input_tokens"]
    assert last(events, "usage")["output_tokens"] > 28


@one_vendor
def test_a_tool_that_was_not_offered_is_not_called(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    tools = {"knowledge_search": lambda _: {"content": 'CALL send_mail {"to": "x@example.com"}', "passages": [DOG]}}
    events = converse(start(vendor), stepping(QUESTION, vendor), tools)
    assert [name for name, _ in calls_of(events)] == ["knowledge_search"]
    assert events[-1][0] == "done"


@one_vendor
def test_an_error_of_a_tool_is_told_to_the_model(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    tools = {"knowledge_search": lambda _: {"error": "SAY the search is away"}}
    assert text_of(converse(start(vendor), stepping(QUESTION, vendor), tools)) == "the search is away"


@pytest.fixture
def endless() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A tool whose every result asks for one more call."""
    numbers = itertools.count()
    return lambda _: {"content": f'CALL calculator {{"expression": "{next(numbers)}"}}'}


@pytest.fixture
def endless_tools(endless: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    return {"knowledge_search": endless, "calculator": endless}


@one_vendor
def test_no_more_steps_are_taken_than_allowed(
    vendor: Vendor, emulator: Emulator, start: Start, endless_tools: dict[str, Any]
) -> None:
    events = converse(start(vendor), stepping(QUESTION, vendor, step_limit=3), endless_tools)
    assert len(calls_of(events)) == 2
    assert len([call for call in emulator.journal.calls if call.route == vendor.route]) == 3
    assert events[-1] == ("done", {"finish_reason": "limit"})


@one_vendor
def test_the_last_step_is_told_to_answer_with_what_there_is(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    tools = {"knowledge_search": found(DOG)}
    events = converse(start(vendor), stepping(QUESTION, vendor, step_limit=2), tools)
    body = emulator.journal.calls[-1].body
    assert (body["messages"][-1]["content"], body["tool_choice"]) == (ENOUGH, "none")
    assert (text_of(events), events[-1][1]["finish_reason"]) == ("The dog weighs 12 kg. [1]", "limit")


@one_vendor
def test_no_step_is_made_that_could_read_more_than_allowed(
    vendor: Vendor, emulator: Emulator, start: Start, endless_tools: dict[str, Any]
) -> None:
    request = stepping(QUESTION, vendor, step_limit=20, max_input_tokens=9000)
    tool = endless_tools["calculator"]
    long = dict.fromkeys(endless_tools, lambda asked: {"content": tool(asked)["content"] + "\n" + 2000 * "x"})
    events = converse(start(vendor), request, long)
    assert last(events, "usage")["input_tokens"] <= 9000
    assert 1 < len([call for call in emulator.journal.calls if call.route == vendor.route]) < 8
    assert events[-1] == ("done", {"finish_reason": "limit"})


@one_vendor
def test_too_little_credit_for_one_step_asks_nobody(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    events = converse(start(vendor), stepping(QUESTION, vendor, max_input_tokens=10), {})
    assert not [call for call in emulator.journal.calls if call.route == vendor.route]
    assert (last(events, "usage")["input_tokens"], events[-1]) == (0, ("done", {"finish_reason": "limit"}))


@one_vendor
def test_time_is_of_the_whole_and_the_caller_hears_from_us_meanwhile(
    vendor: Vendor, emulator: Emulator, start: Start
) -> None:
    names, began = [], time.monotonic()
    with line(start(vendor), stepping(QUESTION, vendor, seconds_limit=1)) as socket:
        names = [frame["event"] for frame in frames_of(socket)]  # the tool is never answered
    assert time.monotonic() - began < 5
    assert "heartbeat" in names
    assert names[-1] == "error"
    assert names.count("error") == 1


@one_vendor
def test_who_leaves_ends_the_model(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    emulator.fault(vendor.route, "stall", after=1)
    with line(start(vendor), stepping(QUESTION, vendor)):
        wait_until(lambda: bool(emulator.journal.calls))
    wait_until(lambda: emulator.journal.calls[0].ended == "client_closed")


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@one_vendor
def test_a_result_that_nobody_asked_for_ends_it(vendor: Vendor, emulator: Emulator, start: Start) -> None:
    with line(start(vendor), stepping(QUESTION, vendor)) as socket:
        assert json.loads(socket.recv(timeout=10))["event"] == "tool_call"
        socket.send(json.dumps({"event": "tool_result", "data": {"id": "another"}}))
        frames = list(frames_of(socket))
    assert [frame["data"].get("code") for frame in frames if frame["event"] != "heartbeat"] == ["tool_call_unknown"]


@pytest.mark.parametrize("claims", [{"body": "0" * 64}, {"path": "/chat"}, {"exp": 1}, {"user": None}])
def test_a_token_for_something_else_is_refused(keyless: Caller, claims: dict[str, Any]) -> None:
    events = converse(keyless, asking(QUESTION, DOG, model="local:extractive", agent="default"), **claims)
    assert [name for name, _ in events] == ["error"]
    assert events[0][1]["code"] in ("service_token_invalid", "forbidden")


def test_the_keyless_model_searches_once(keyless: Caller) -> None:
    request = asking(QUESTION, model="local:extractive", agent="researcher", tools=[SEARCH])
    events = converse(keyless, request, {"knowledge_search": found(DOG)})
    assert calls_of(events) == [("knowledge_search", {"query": QUESTION})]
    assert "“The dog weighs 12 kg.” [1]" in text_of(events)


def test_every_kind_of_agent_can_be_asked_over_it(keyless: Caller) -> None:
    request = asking(QUESTION, DOG, model="local:extractive", agent="default")
    assert "12 kg" in text_of(converse(keyless, request))


@pytest.mark.parametrize("vendor", [GEMINI], ids=lambda vendor: vendor.name, indirect=True)
def test_a_vendor_that_breaks_after_the_first_step_ends_it_with_its_error(
    vendor: Vendor, emulator: Emulator, start: Start
) -> None:
    def search(_: dict[str, Any]) -> dict[str, Any]:
        emulator.fault(vendor.route, "500")
        return {"passages": [DOG]}

    events = converse(start(vendor), stepping(QUESTION, vendor), {"knowledge_search": search})
    assert (events[-1][0], events[-1][1]["code"]) == ("error", "upstream_unavailable")
