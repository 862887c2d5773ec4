"""Programs that were compiled elsewhere: their JSON is applied by our own stages, and nothing else is ever loaded."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent_service.errors import Misconfigured
from agent_service.pipeline.agents.programs import read_program
from agent_service.pipeline.agents.registry import FOLDER, read_agents
from tests.agent_service.calls import asking, passage
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import says

AGENT = 'id = "mine"\ntitle = "T"\ndescription = "D"\nkind = "rag"\nprogram = "mine.json"\n'
COMPILED: dict[str, Any] = {
    "query.predict": {"signature": {"instructions": "Search in nouns.", "fields": []}, "demos": []},
    "retrieve": {"k": 3},
    "answer.predict": {
        "traces": [],
        "demos": [{"question": "Is it so?", "context": ["x"], "reasoning": "r", "answer": "It is. [1]"}, {"odd": 1}],
        "signature": {"instructions": "Answer in one sentence.", "fields": [{"prefix": "Answer:"}]},
        "lm": None,
    },
    "metadata": {"dependency_versions": {"dspy": "3.4.1"}},
}


def compiled(tmp_path: Path, state: Any = COMPILED) -> Path:
    (tmp_path / "mine.toml").write_text(AGENT)
    (tmp_path / "mine.json").write_text(state if isinstance(state, str) else json.dumps(state))
    return tmp_path


def test_instructions_and_examples_reach_the_model(tmp_path: Path, start_agent: StartAgent) -> None:
    chat = says("Yes.")
    caller = start_agent(chat, agents_folder=str(compiled(tmp_path)))
    history = [{"role": "user", "text": "Hello"}, {"role": "assistant", "text": "Good day"}]
    caller.post("/chat", asking("Why?", passage("x"), agent="mine", instructions="Be kind.", history=history))
    prompt = chat.prompts[0]
    assert prompt.system.startswith("Answer in one sentence.\n\nBe kind.")
    assert [turn.text for turn in prompt.history] == ["Is it so?", "It is. [1]", "Hello", "Good day"]


def test_its_number_of_passages_is_the_agents(tmp_path: Path) -> None:
    assert read_agents(FOLDER, compiled(tmp_path)).get("mine").info().passages == 3


def test_its_instructions_for_the_search_come_first(tmp_path: Path) -> None:
    program = read_program(compiled(tmp_path) / "mine.json")
    assert program.query is not None
    assert program.query.told("Reply in JSON.") == "Search in nouns.\n\nReply in JSON."


def test_a_labelled_answer_is_no_example_of_a_search(tmp_path: Path) -> None:
    labelled = {"question": "Is it so?", "answer": "It is."}
    replied = {"question": "Is it not?", "response": '{"terms": ["not"]}'}
    state = {"query": {"signature": {"instructions": "Search."}, "demos": [labelled, replied]}}
    query = read_program(compiled(tmp_path, state) / "mine.json").query
    assert query is not None
    assert query.told("J.") == 'Search.\n\nJ.\n\nQuestion: Is it not?\n{"terms": ["not"]}'


@pytest.mark.parametrize(("state", "looks"), [(COMPILED, True), ({"retrieve": {"k": 3}}, False)])
def test_an_agent_with_a_query_stage_looks_at_the_question(tmp_path: Path, state: Any, looks: bool) -> None:
    assert read_agents(FOLDER, compiled(tmp_path, state)).get("mine").info().analysis is looks


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"answer": {"demos": 7}}, "answer.demos"),
        ({"retrieve": {"k": 0}}, "retrieve.k"),
        ({"other": {}}, "no predictor's name"),
        ([1], "must be a JSON object"),
        ("\x80\x04}.", "cannot be read"),
    ],
)
def test_what_is_no_program_stops_the_start_with_its_name(tmp_path: Path, state: Any, said: str) -> None:
    folder = compiled(tmp_path, state)
    with pytest.raises(Misconfigured) as refused:
        read_agents(FOLDER, folder)
    assert "mine.json" in refused.value.message
    assert said in refused.value.message
