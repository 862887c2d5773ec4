"""Compiled programs: what an optimiser has found for the three stages of an answer, as data.

DSPy keeps a compiled program as JSON: for each of its predictors the instructions and the examples that did best, for
its retrieval the number of passages. That is read here and applied by our own stages, so that the service runs a
program without the library that made it, and nothing is ever unpickled. A predictor belongs to the stage that its name
begins with: `query`, `retrieve` or `answer`. `programs/` has the stages as DSPy's modules, which apply what they learn
by this file too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_service.contract import ChatRequest, Turn
from agent_service.errors import Misconfigured

MAX_BYTES = 1_000_000
MAX_EXAMPLES = 8
MAX_EXAMPLE_CHARS = 4_000

Asking = Literal["query", "answer"]
"""The stages that ask a model."""

ASKED = ("question", "query")
REPLIED: Mapping[Asking, Sequence[str]] = {"query": ("response",), "answer": ("answer", "response")}
"""An optimiser gives its labelled questions to every predictor: an "answer" is no reply of the query stage."""

Request = TypeVar("Request", bound=ChatRequest)


class QueryStage(Protocol):
    """What a question is prepared by for the search."""

    def told(self, system: str) -> str:
        """The instructions for whoever prepares it."""
        ...


class RetrievalStage(Protocol):
    @property
    def passages(self) -> int | None: ...


class AnswerStage(Protocol):
    """What an answer is written by."""

    def dressed(self, request: Request) -> Request: ...


@dataclass(frozen=True, slots=True)
class Example:
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Predictor:
    """Satisfies QueryStage and AnswerStage."""

    instructions: str
    examples: Sequence[Example] = ()

    def told(self, system: str) -> str:
        shown = [f"Question: {one.question}\n{one.answer}" for one in self.examples]
        return "\n\n".join([self.instructions, system, *shown])

    def dressed(self, request: Request) -> Request:
        """Examples go before everything that was said: where the prompt is too long they are the first to be left
        out."""
        before = [
            turn
            for one in self.examples
            for turn in (Turn(role="user", text=one.question), Turn(role="assistant", text=one.answer))
        ]
        told = "\n\n".join(filter(None, (self.instructions, request.instructions)))
        return request.model_copy(update={"instructions": told, "history": [*before, *request.history]})


@dataclass(frozen=True, slots=True)
class Retrieval:
    passages: int | None = None


@dataclass(frozen=True, slots=True)
class Program:
    query: QueryStage | None = None
    retrieve: RetrievalStage | None = None
    answer: AnswerStage | None = None


class _Signature(BaseModel):
    model_config = ConfigDict(extra="ignore")

    instructions: str = Field(default="", max_length=20_000)


class _State(BaseModel):
    model_config = ConfigDict(extra="ignore")

    signature: _Signature = _Signature()
    demos: list[dict[str, Any]] = Field(default=[], max_length=1000)
    k: int | None = Field(default=None, ge=1, le=20)


def read_program(file: Path) -> Program:
    """Raises Misconfigured, which names the file and the predictor."""
    stages: dict[str, _State] = {}
    for name, told in _told(file).items():
        stage = name.split(".")[0].split("[")[0]
        if stage not in ("query", "retrieve", "answer"):
            continue
        try:
            stages[stage] = _State.model_validate(told)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in (name, *problem["loc"]))
            raise Misconfigured(f"{file}: {place}: {problem['msg']}") from error
    if not stages:
        raise Misconfigured(f"{file}: no predictor's name begins with query, retrieve or answer")
    return Program(
        query=_read(stages, "query"),
        retrieve=Retrieval(stages["retrieve"].k) if "retrieve" in stages else None,
        answer=_read(stages, "answer"),
    )


def _told(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise Misconfigured(f"{file} cannot be read: it is larger than {MAX_BYTES} bytes")
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Misconfigured(f"{file} cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise Misconfigured(f"{file}: must be a JSON object")
    return told


def _read(stages: Mapping[str, _State], stage: Asking) -> Predictor | None:
    state = stages.get(stage)
    return learnt(stage, state.signature.instructions, state.demos) if state else None


def learnt(stage: Asking, instructions: str, demos: Sequence[Mapping[str, Any]]) -> Predictor:
    """Of an optimiser's examples, by field name, those that can be shown."""
    examples = [example for demo in demos if (example := _example(demo, REPLIED[stage]))]
    return Predictor(instructions, examples[:MAX_EXAMPLES])


def _example(demo: Mapping[str, Any], replied: Sequence[str]) -> Example | None:
    question = next((demo[name] for name in ASKED if isinstance(demo.get(name), str)), "")
    answer = next((demo[name] for name in replied if isinstance(demo.get(name), str)), "")
    if not question or not answer or len(question) + len(answer) > MAX_EXAMPLE_CHARS:
        return None
    return Example(question, answer)
