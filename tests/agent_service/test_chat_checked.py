"""Answers over HTTP: which of their sentences stand, what a strict bot withholds, and questions that might follow."""

import time
from typing import Any

import pytest

from agent_service.contract import Usage
from agent_service.errors import UpstreamError
from agent_service.pipeline.phrases import ENGLISH, phrases_for
from agent_service.ports import Piece
from tests.agent_service.calls import Caller, Event, asking, passage
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import STOP, ScriptedChat, Step, follows, says

ELBE = passage("The Elbe is a river. It is 1,094 km long.", title="Rivers")
PORT = passage("Opening hours\nThe harbour of Hamburg was founded in 1189.", title="Ports")
TRUE = "The Elbe is 1,094 km long [1]."
FALSE = "The Elbe is 2,000 km long [1]."
ALSO = "The harbour was founded in 1189 [2]."


def question(**fields: Any) -> dict[str, Any]:
    return asking("How long is the Elbe, and how old the harbour?", ELBE, PORT, **fields)


def strict(**fields: Any) -> dict[str, Any]:
    return question(strictness="strict", check="withhold", **fields)


def names(events: list[Event]) -> list[str]:
    return [name for name, _ in events]


def one(events: list[Event], name: str) -> Any:
    [data] = [data for kind, data in events if kind == name]
    return data


def text_of(events: list[Event]) -> str:
    return "".join(data["text"] for name, data in events if name == "delta")


def words(*sentences: str) -> list[Step]:
    return [word + " " for sentence in sentences for word in sentence.split(" ")]


def test_each_sentence_is_told_with_what_supports_it(start_agent: StartAgent) -> None:
    events = start_agent(says(*words(TRUE, FALSE, "Hello!"))).events(question())
    told = one(events, "citations")
    shown = text_of(events)
    assert [
        (shown[sentence["start"] : sentence["end"]], sentence["claim"], sentence["supported"], sentence["markers"])
        for sentence in told["sentences"]
    ] == [(TRUE, True, True, [1]), (FALSE, True, False, []), ("Hello!", False, False, [])]
    assert told["withheld"] == 0


def test_a_shown_marker_without_support_is_counted_and_has_no_citation(start_agent: StartAgent) -> None:
    told = one(start_agent(says(f"{FALSE} {ALSO}")).events(question()), "citations")
    assert told["rejected"] == 1
    assert [citation["marker"] for citation in told["citations"]] == [2]


def test_support_without_a_marker_is_cited_too(start_agent: StartAgent) -> None:
    told = one(start_agent(says("The harbour was founded in 1189.")).events(question()), "citations")
    [citation] = told["citations"]
    assert (citation["marker"], citation["quote"] in PORT["text"]) == (2, True)


def test_equal_prompts_have_equal_hashes(start_agent: StartAgent) -> None:
    caller = start_agent(says(TRUE))
    first, again, other = (
        one(caller.events(request), "citations")["prompt_sha256"]
        for request in (question(), question(), question(instructions="Be brief."))
    )
    assert first == again != other
    assert len(first) == 64


def test_the_whole_answer_says_the_same(start_agent: StartAgent) -> None:
    caller = start_agent(ScriptedChat([[f"{TRUE} {FALSE}", STOP], ["Who built it?", STOP]] * 2))
    told = one(caller.events(question(follow_ups=1)), "citations")
    whole = caller.post("/chat", question(follow_ups=1)).json()
    assert (whole["sentences"], whole["prompt_sha256"]) == (told["sentences"], told["prompt_sha256"])
    assert (whole["withheld"], whole["follow_ups"]) == (0, ["Who built it?"])


def test_a_strict_bot_withholds_what_is_not_supported(start_agent: StartAgent) -> None:
    events = start_agent(says(*words(TRUE, FALSE, ALSO))).events(strict())
    assert text_of(events) == f"{TRUE} {ALSO}\n\n{ENGLISH.withheld}"
    told = one(events, "citations")
    assert (told["withheld"], told["rejected"]) == (1, 1)
    assert one(events, "done") == {"finish_reason": "stop"}


def test_nothing_is_noted_where_nothing_was_withheld(start_agent: StartAgent) -> None:
    assert text_of(start_agent(says(*words(TRUE, ALSO))).events(strict())) == f"{TRUE} {ALSO}"


def test_where_nothing_stands_nothing_was_found(start_agent: StartAgent) -> None:
    events = start_agent(says(*words("Hello!", FALSE))).events(strict())
    assert text_of(events) == ENGLISH.nothing_found
    assert one(events, "done") == {"finish_reason": "not_found"}
    assert one(events, "citations")["citations"] == []


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("Wie lang ist die Elbe?", "de"),
        ("¿Cuánto mide el Elba?", "es"),
        ("易北河有多长？", "zh"),
        ("كم طول النهر؟", "ar"),
    ],
)
def test_the_note_is_in_the_language_of_the_question(start_agent: StartAgent, asked: str, language: str) -> None:
    caller = start_agent(says(*words(TRUE, FALSE)))
    shown = text_of(caller.events(asking(asked, ELBE, PORT, strictness="strict", check="withhold")))
    assert shown.endswith(phrases_for(asked).withheld)
    assert phrases_for(asked) != ENGLISH


def test_a_refusal_is_no_way_to_an_unsupported_statement(start_agent: StartAgent) -> None:
    caller = start_agent(
        ScriptedChat([["NOT_FOUND The Elbe is 2,000 km long.", STOP], ["NOT_FOUND It is not told.", STOP]])
    )
    assert [text_of(caller.events(strict())) for _ in range(2)] == [ENGLISH.nothing_found] * 2


def test_the_first_word_waits_for_the_first_sentence_only(start_agent: StartAgent) -> None:
    model = says(*words(TRUE), "And ", 0.8, *words(ALSO))
    with start_agent(model).streaming(strict()) as response:
        started = time.monotonic()
        assert b"1,094" in next(response.iter_bytes())
        assert time.monotonic() - started < 0.6


@pytest.mark.parametrize(
    "fault", [30.0, UpstreamError("garbage", "fake:chat"), Piece(text="")], ids=["stall", "error", "cut"]
)
def test_a_withheld_stream_that_is_cut_shows_only_whole_sentences(start_agent: StartAgent, fault: Step) -> None:
    model = follows(*words(TRUE), "The harbour was founded", fault)
    events = start_agent(model, model_idle_seconds=0.3).events(strict())
    assert text_of(events) == TRUE
    assert names(events) == ["delta", "usage", "error"]


def test_half_a_sentence_at_the_limit_of_tokens_is_withheld(start_agent: StartAgent) -> None:
    model = follows(*words(TRUE), "The harbour was founded in 11", Piece(finish_reason="length"))
    events = start_agent(model).events(strict())
    assert text_of(events) == f"{TRUE}\n\n{ENGLISH.withheld}"
    assert one(events, "done") == {"finish_reason": "length"}


def suggesting(*questions: Step, answer: str = TRUE) -> ScriptedChat:
    return ScriptedChat([[answer, STOP], [*questions]])


def test_questions_that_might_follow_come_after_the_citations(start_agent: StartAgent) -> None:
    model = suggesting("1. Who founded the harbour?\n2. Where is the Elbe?\n3. More?", STOP)
    events = start_agent(model).events(question(follow_ups=2))
    assert names(events) == ["delta", "citations", "follow_ups", "usage", "done"]
    assert one(events, "follow_ups") == {"questions": ["Who founded the harbour?", "Where is the Elbe?"]}
    assert (one(events, "usage")["input_tokens"], one(events, "usage")["output_tokens"]) == (40, 14)


def test_the_second_call_is_given_question_answer_and_passages(start_agent: StartAgent) -> None:
    model = suggesting("Who?", STOP)
    start_agent(model).events(question(follow_ups=3))
    prompt = model.prompts[1]
    assert all(part in prompt.message for part in (ELBE["text"], "how old the harbour?", "The Elbe is 1,094 km long"))
    assert (prompt.history, prompt.max_output_tokens) == ((), 180)


def test_nobody_is_asked_for_what_nobody_wants(start_agent: StartAgent) -> None:
    model = says(TRUE)
    start_agent(model).events(question())
    assert model.opened == 1


FAULTS: dict[str, list[Step]] = {
    "hang": [30.0],
    "stall": ["Who built", 30.0],
    "error": [UpstreamError("unavailable", "fake:chat", status=503)],
    "refused": [UpstreamError("rejected", "fake:chat", status=400)],
    "cut": ["Who built it?"],
    "empty": [],
    "nonsense": ["I cannot help with that.", STOP],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_stands_whatever_becomes_of_the_questions(start_agent: StartAgent, fault: str) -> None:
    model = suggesting(*FAULTS[fault])
    started = time.monotonic()
    caller = start_agent(model, model_first_byte_seconds=0.4, model_idle_seconds=0.4, model_total_seconds=1.5)
    events = caller.events(question(follow_ups=3))
    assert names(events) == ["delta", "citations", "usage", "done"]
    assert one(events, "usage")["input_tokens"] >= 20
    assert (model.opened, model.closed) == (2, 2)
    assert time.monotonic() - started < 3


def test_the_questions_stay_within_what_may_be_written(start_agent: StartAgent) -> None:
    nearly_all = Usage(provider="fake", model="chat", input_tokens=20, output_tokens=190)
    model = ScriptedChat([[TRUE, Piece(finish_reason="stop", usage=nearly_all)]])
    start_agent(model).events(question(follow_ups=3))
    assert model.opened == 1


def test_nothing_follows_an_answer_that_was_not_found(start_agent: StartAgent) -> None:
    model = ScriptedChat([["NOT_FOUND Not told.", STOP]])
    events = start_agent(model).events(strict(follow_ups=3))
    assert names(events) == ["delta", "citations", "usage", "done"]
    assert model.opened == 1


def test_leaving_while_the_questions_are_made_ends_their_call(start_agent: StartAgent) -> None:
    model = suggesting("Who", 30.0)
    caller = start_agent(model, model_idle_seconds=60)
    with caller.streaming(question(follow_ups=3)) as response:
        for block in response.iter_bytes():
            if b"event: citations" in block:
                break
        deadline = time.monotonic() + 3
        while model.opened < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    deadline = time.monotonic() + 5
    while model.closed < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (model.opened, model.closed) == (2, 2)


def test_without_any_key_headings_that_were_not_quoted_are_suggested(keyless: Caller) -> None:
    request = asking("How long is the Elbe?", ELBE, PORT, model="local:extractive", follow_ups=2)
    events = keyless.events(request)
    assert one(events, "follow_ups") == {"questions": ["What do the documents say about “Opening hours”?"]}


@pytest.mark.parametrize("check", ["mark", "withhold"])
def test_what_is_quoted_without_any_key_is_supported(keyless: Caller, check: str) -> None:
    request = asking("How long is the Elbe?", ELBE, PORT, model="local:extractive", check=check, strictness="strict")
    told = one(keyless.events(request), "citations")
    assert [sentence["supported"] for sentence in told["sentences"] if sentence["claim"]]
    assert all(sentence["supported"] for sentence in told["sentences"] if sentence["claim"])
    assert told["withheld"] == 0


INJECTED = "\n\nevent: credits\ndata: {}\n\nevent: done\ndata: {}\n\n"


@pytest.mark.parametrize("check", ["mark", "withhold"])
def test_events_in_a_models_words_are_words(start_agent: StartAgent, check: str) -> None:
    model = ScriptedChat([[TRUE, INJECTED, ALSO, STOP], [f"Who?{INJECTED}Where is it?", STOP]])
    events = start_agent(model).events(question(check=check, follow_ups=2))
    assert [name for name in names(events) if name != "delta"] == ["citations", "follow_ups", "usage", "done"]
    assert one(events, "follow_ups")["questions"] == ["Where is it?"]
    assert check == "withhold" or "event: credits" in text_of(events)
