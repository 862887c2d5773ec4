"""Stop sequences: what is shown ends before one, whatever made the text, and is checked as it stands."""

import random
from typing import Any
from uuid import uuid4

import pytest

from agent_service.contract import ChatRequest
from agent_service.pipeline.agents.quoting import passages_as_they_are
from agent_service.pipeline.answering import NOTHING_FOUND, collected
from agent_service.pipeline.stopping import StopFilter, before_stop
from agent_service.ports import Piece
from tests.agent_service.calls import Caller, asking, passage
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import follows, says
from tests.agent_service.test_chat import ELBE, HARBOUR, chat

WHOLE = "The Elbe is a river [1]. It is 1,094 km long [1].\n\nThe harbour of Hamburg was founded in 1189 [2]."


def fed(pieces: list[str], *sequences: str) -> tuple[list[str], bool]:
    stop = StopFilter(sequences)
    shown = [stop.feed(piece) for piece in pieces]
    return [*shown, stop.flush()], stop.cut


def test_an_end_that_may_become_a_stop_sequence_waits() -> None:
    assert fed(["one E", "N", "D two", " three"], "END") == (["one ", "", "", "", ""], True)


def test_what_waited_for_nothing_is_shown() -> None:
    assert fed(["one E", "NT", "ER EN"], "END") == (["one ", "ENT", "ER ", "EN"], False)


def test_the_sequence_that_is_complete_first_ends_the_text() -> None:
    assert before_stop("one abc", ["abcd", "b", "abc"]) == "one a"
    assert before_stop("one abc", ["c", "abc"]) == "one "


def test_it_makes_no_difference_how_a_text_is_cut_into_pieces() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        text = "".join(chance.choices("ab\n", k=chance.randint(0, 14)))
        sequences = ["".join(chance.choices("ab\n", k=chance.randint(1, 4))) for _ in range(chance.randint(1, 4))]
        pieces = [text[at : at + 2] for at in range(0, len(text), 2)]
        whole, whole_cut = fed([text], *sequences)
        parts, parts_cut = fed(pieces, *sequences)
        assert ("".join(parts), parts_cut) == ("".join(whole), whole_cut), (text, sequences)
        ends = [text.index(one) + len(one) for one in sequences if one in text]
        assert "".join(whole) == text if not ends else text[: min(ends)].startswith("".join(whole))
        assert not any(one in "".join(whole) for one in sequences)


@pytest.mark.parametrize("check", ["mark", "withhold"])
def test_an_answer_ends_before_a_stop_sequence(start_agent: StartAgent, check: str) -> None:
    model = says(*[WHOLE[at : at + 3] for at in range(0, len(WHOLE), 3)])
    answer = chat(
        start_agent(model), asking("How long is the Elbe?", ELBE, HARBOUR, stop=["\n\n", "Berlin"], check=check)
    )
    assert answer["text"] == "The Elbe is a river [1]. It is 1,094 km long [1]."
    assert answer["finish_reason"] == "stop"
    assert {citation["marker"] for citation in answer["citations"]} == {1}
    assert [answer["text"][one["start"] : one["end"]] for one in answer["sentences"]] == [
        "The Elbe is a river [1].",
        "It is 1,094 km long [1].",
    ]


@pytest.mark.parametrize("check", ["mark", "withhold"])
def test_a_sentence_cut_in_half_is_checked_as_it_stands(start_agent: StartAgent, check: str) -> None:
    caller = start_agent(says("The Elbe is 1,094 km long, and the harbour of Hamburg was founded in 1189 [1][2]. "))
    answer = chat(caller, asking("How long is the Elbe?", ELBE, HARBOUR, stop=[" km"], check=check))
    assert answer["text"] == "The Elbe is 1,094"
    assert [(one["start"], one["end"], one["supported"]) for one in answer["sentences"]] == [(0, 17, True)]
    assert [citation["marker"] for citation in answer["citations"]] == [1]


def test_nothing_is_generated_behind_a_stop_sequence(start_agent: StartAgent) -> None:
    model = says("It is long.", "\n", *["And so on. "] * 50, 5.0, "The end.")
    answer = chat(start_agent(model), asking("Long?", ELBE, stop=["\nAnd"]))
    assert answer["text"] == "It is long."
    assert (model.opened, model.closed) == (1, 1)
    assert answer["usage"]["estimated"]
    assert answer["usage"]["output_tokens"] < 10


def test_a_stop_sequence_at_the_beginning_leaves_nothing(start_agent: StartAgent) -> None:
    answer = chat(start_agent(says("It is long.")), asking("Long?", ELBE, stop=["It"]))
    assert (answer["text"], answer["finish_reason"], answer["citations"]) == ("", "stop", [])


def test_the_note_that_something_was_withheld_is_cut_too(start_agent: StartAgent) -> None:
    caller = start_agent(says("The Elbe is 1,094 km long [1]. Its fish are blue."))
    request = asking("How long is the Elbe?", ELBE, check="withhold")
    assert "\n\n" in chat(caller, request)["text"]
    assert chat(caller, request | {"stop": ["\n\n"]})["text"] == "The Elbe is 1,094 km long [1]."


def test_a_sequence_in_what_waited_until_the_end_ends_it_too(start_agent: StartAgent) -> None:
    model = follows("It is long [1", Piece(finish_reason="length"))
    answer = chat(start_agent(model), asking("Long?", ELBE, stop=["[1"]))
    assert (answer["text"], answer["finish_reason"]) == ("It is long ", "stop")


def test_what_is_shown_is_what_counts(start_agent: StartAgent) -> None:
    answer = chat(start_agent(says("It is 1,094 km long【1】. Yes.")), asking("Long?", ELBE, stop=["long[1]"]))
    assert answer["text"] == "It is 1,094 km "


def test_a_plain_sentence_of_our_own_ends_there_too(start_agent: StartAgent) -> None:
    answer = chat(start_agent(), asking("Long?", strictness="strict", stop=[NOTHING_FOUND[5:9]]))
    assert (answer["text"], answer["finish_reason"]) == (NOTHING_FOUND[:5], "not_found")


def test_without_any_key_the_quotes_end_there_too(keyless: Caller) -> None:
    request = asking("How long is the Elbe?", HARBOUR, ELBE, model="local:extractive", strictness="strict")
    whole = chat(keyless, request)["text"]
    answer = chat(keyless, request | {"stop": ["1,094"]})
    assert answer["text"] == whole[: whole.index("1,094")]
    assert answer["finish_reason"] == "stop"
    assert "[" not in answer["text"]


async def test_passages_word_for_word_end_there_too() -> None:
    first, second = passage("One. Two."), passage("Three. Four.")
    request = ChatRequest.model_validate(asking("Any?", first, second, model="local:passages", stop=["Four"]))
    answer = await collected(passages_as_they_are(request))
    assert answer.text == "“One. Two.” [1]\n\n“Three. "
    assert [citation.marker for citation in answer.citations] == [1]


@pytest.mark.parametrize("stop", [["x"] * 5, [""], ["x" * 201], "x", [1]])
def test_stop_sequences_are_few_and_short(start_agent: StartAgent, stop: Any) -> None:
    response = start_agent().post("/chat", asking("Long?", ELBE, stop=stop))
    assert response.status_code == 422


def test_a_stream_never_shows_a_part_of_a_stop_sequence(start_agent: StartAgent) -> None:
    identity = str(uuid4())
    caller = start_agent(says(*f"It is long. {identity} It is wide."))
    events = caller.events(asking("Long?", ELBE, stop=[identity]))
    assert "".join(data["text"] for name, data in events if name == "delta") == "It is long. "
    assert [name for name, _ in events].count("done") == 1
