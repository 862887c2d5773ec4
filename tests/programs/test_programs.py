"""One compiled program, run by the service and by DSPy: the emulated Gemini is asked the same."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_service.contract import ChatRequest
from agent_service.pipeline.prompting import system_prompt
from tests.agent_service.calls import SERVICE_KEY, Caller, asking, new_caller, passage
from tests.agent_service.vendors import VENDOR_KEY
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.server import Running
from tests.real_data import lines, needs_real_data
from tests.stack import ROOT, Stack

PYTHON = ROOT / ".venv-programs" / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="DSPy is not here: make test-programs installs it")

MODEL, EMBEDDING = "google:gemini-2.5-flash", "local:wordllama:256"
AGENT = 'id = "{id}"\ntitle = "T"\ndescription = "D"\nkind = "rag"\nprogram = "{id}.json"\n'
QUESTION = "How high is the tower?"
PASSAGES = [passage(f"The tower of town {number} is {number}0 metres high.") for number in range(1, 8)]


def predictor(instructions: str, fields: int, demos: list[dict[str, str]]) -> dict[str, Any]:
    signature = {"instructions": instructions, "fields": [{"prefix": "A:", "description": "d"}] * fields}
    return {"traces": [], "train": [], "demos": demos, "signature": signature, "lm": None}


SEARCHED = {"question": "Who built it?", "response": '{"terms": ["architect"]}'}
LABELLED = {"question": "A labelled question?", "answer": "Its answer."}
ANSWERED = [{"question": f"Is it {number}?", "answer": f"It is {number}. [1]"} for number in range(12)]
COMPILED = {
    "query.predict": predictor("Search in nouns.", 2, [SEARCHED, LABELLED]),
    "retrieve": {"k": 3},
    "answer.predict": predictor("Answer in one sentence.", 3, ANSWERED),
    "metadata": {"dependency_versions": {}},
}


@dataclass
class Both:
    """The service in a process of its own, and DSPy in another one that calls it."""

    stack: Stack
    gemini: GeminiEmulator
    folder: Path

    def caller(self) -> Caller:
        return new_caller(self.stack.agent_url)

    def in_dspy(
        self, do: str, caller: Caller, *, program: str = "", k: int = 5, model: str = MODEL, **told: Any
    ) -> Any:
        scope = asdict(caller)
        bot = {"embedding": EMBEDDING, "model": model, "instructions": "Be kind.", "temperature": 0.3}
        told = {"passages": PASSAGES, "question": QUESTION, **told, "do": do, "k": k}
        told |= {"url": scope.pop("url"), "key": SERVICE_KEY, "bot": scope | bot}
        told["load"] = str(self.folder / f"{program}.json") if program else ""
        done = subprocess.run(
            [PYTHON, "-W", "error", "-m", "tests.programs.dspy_side"],
            cwd=ROOT,
            input=json.dumps(told, default=str),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def asked(self) -> dict[str, Any]:
        """What Gemini was asked last."""
        body: dict[str, Any] = self.gemini.journal.of("streamGenerateContent")[-1].body
        return body

    def answered_by_service(self, caller: Caller, agent: str, question: str = QUESTION, **fields: Any) -> None:
        values = {"model": MODEL, "instructions": "Be kind.", "temperature": 0.3, "max_output_tokens": 1000, **fields}
        answer = caller.post("/chat", asking(question, *PASSAGES, agent=agent, **values))
        assert answer.status_code == 200, answer.text

    def agents(self) -> dict[str, Any]:
        return {agent["id"]: agent for agent in self.caller().get("/agents").json()["agents"]}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("agents")
    (folder / "mine.toml").write_text(AGENT.format(id="mine"))
    (folder / "mine.json").write_text(json.dumps(COMPILED))
    with Running(GeminiEmulator(VENDOR_KEY)) as gemini:
        settings = {"SERVICE_KEY": SERVICE_KEY, "GOOGLE_API_KEY": VENDOR_KEY, "GOOGLE_BASE_URL": gemini.url}
        stack = Stack(tmp_path_factory.mktemp("stack"), settings | {"AGENTS_FOLDER": str(folder)})
        try:
            stack.start("agent")
            yield Both(stack, gemini.emulator, folder)
        finally:
            stack.stop()


def system_of(body: dict[str, Any]) -> str:
    return "".join(part["text"] for part in body["systemInstruction"]["parts"])


def store(caller: Caller, passages: list[dict[str, Any]]) -> None:
    document = {"document": passages[0]["id"], "version": passages[0]["id"]}
    chunks = [{"id": one["id"], "text": one["text"], **document} for one in passages]
    answer = caller.post("/embed_and_store", {"embedding": EMBEDDING, "chunks": chunks})
    assert answer.status_code == 200, answer.text


def test_an_answer_is_asked_for_word_for_word_as_the_service_does(both: Both) -> None:
    caller = both.caller()
    both.answered_by_service(caller, "mine")
    by_service = both.asked()
    both.in_dspy("answer", caller, program="mine")
    assert both.asked() == by_service
    assert system_of(by_service).startswith("Answer in one sentence.\n\nBe kind.")
    assert len(by_service["contents"]) == 17  # eight examples, as many as the service shows, and the question


def test_a_search_is_prepared_with_the_same_words_under_the_rules_of_any_answer(both: Both) -> None:
    caller = both.caller()
    request = {"embedding": EMBEDDING, "query": QUESTION, "limit": 3, "agent": "mine", "rewriting": "model"}
    assert caller.post("/retrieve", request | {"model": MODEL}).status_code == 200
    by_service = both.asked()
    both.in_dspy("query", caller, program="mine")
    by_dspy = both.asked()
    told = system_of(by_service)
    rules = system_prompt(ChatRequest.model_validate(asking("?", model=MODEL, strictness="free")))
    assert system_of(by_dspy) == f"{told}\n\n{rules}"
    assert by_dspy | {"systemInstruction": by_service["systemInstruction"]} == by_service
    assert told.startswith("Search in nouns.")
    assert told.endswith('Question: Who built it?\n{"terms": ["architect"]}')  # the labelled one is of the other stage


def test_as_many_passages_are_read_as_the_service_says(both: Both) -> None:
    caller = both.caller()
    store(caller, PASSAGES)
    said = both.in_dspy("whole", caller, program="mine", k=5)
    assert said["passages"] == both.agents()["mine"]["passages"] == 3
    assert "metres high" in said["answer"]


def test_optimisers_reach_the_model_too(both: Both) -> None:
    assert both.in_dspy("bare", both.caller()) == ["Hello from the emulated model. I was given no passages to read."]


@pytest.mark.parametrize(
    ("wrong", "said"), [({"model": "google:none"}, "model_unknown"), ({"question": "x" * 20_000}, "at most 16000")]
)
def test_what_is_refused_is_an_error_of_the_model(both: Both, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=f"(?s)LMInvalidRequestError: .*{said}"):
        both.in_dspy("bare", both.caller(), **wrong)


@needs_real_data
def test_what_bootstrapping_finds_is_what_the_service_then_does(both: Both) -> None:
    questions = lines("squad2/questions.jsonl")[:6]
    wanted = {row["paragraph"] for row in questions}
    texts = [row["text"] for row in lines("squad2/paragraphs.jsonl") if row["id"] in wanted]
    passages = [passage(text) for text in texts]
    caller = both.caller()
    store(caller, passages)
    examples = [{"question": row["question"], "answer": row["answers"][0]} for row in questions]
    file = both.folder / "compiled.json"
    shown = both.in_dspy("compile", caller, passages=passages, examples=examples, k=4, file=str(file))
    assert shown > 0
    assert not any("context" in demo for demo in json.loads(file.read_text())["answer.predict"]["demos"])

    (both.folder / "compiled.toml").write_text(AGENT.format(id="compiled"))
    both.stack.kill("agent")
    both.stack.restart("agent")
    assert both.agents()["compiled"]["passages"] == 4
    both.answered_by_service(caller, "compiled")
    by_service = both.asked()
    both.in_dspy("answer", caller, program="compiled")
    assert both.asked() == by_service
    assert len(by_service["contents"]) == 2 * min(shown, 8) + 1
