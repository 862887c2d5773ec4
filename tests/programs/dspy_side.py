"""A program in DSPy, run by the extra's own Python: reads from stdin what to do with it, prints what came of it."""

import contextlib
import json
import sys
from typing import Any

import dspy
from pydantic import TypeAdapter

from agent_service.contract import Passage
from programs.engine import language_model
from programs.service import AgentService, Bot
from programs.stages import Answer, Program, Query, Retrieve


def query(program: Program, told: dict[str, Any]) -> Any:
    return program.query(question=told["question"]).terms


def answer(program: Program, told: dict[str, Any]) -> Any:
    context = [Passage.model_validate(passage) for passage in told["passages"]]
    return program.answer(question=told["question"], context=context).answer


def whole(program: Program, told: dict[str, Any]) -> Any:
    said = program(question=told["question"])
    return {"answer": said.answer, "passages": len(said.passages)}


def bare(_: Program, told: dict[str, Any]) -> Any:
    """As optimisers ask for themselves: any signature, in DSPy's own prompt."""
    return dspy.settings.lm(told["question"])


def compile_and_save(program: Program, told: dict[str, Any]) -> Any:
    examples = [dspy.Example(**one).with_inputs("question") for one in told["examples"]]
    optimiser = dspy.BootstrapFewShot(
        metric=lambda example, said, _trace: example.answer in said.answer, max_bootstrapped_demos=3
    )
    compiled = optimiser.compile(program, trainset=examples)
    compiled.save(told["file"])
    return len(compiled.answer.predict.demos)


DOING = {"query": query, "answer": answer, "whole": whole, "bare": bare, "compile": compile_and_save}


def main() -> None:
    told = json.load(sys.stdin)
    service = AgentService(told["url"], told["key"], TypeAdapter(Bot).validate_python(told["bot"]))
    passages = {one.id: one for one in map(Passage.model_validate, told["passages"])}
    retrieve = Retrieve(service, lambda hits: [passages[hit.chunk] for hit in hits], told["k"])
    program = Program(Query(service.bot), retrieve, Answer(service.bot))
    if told["load"]:
        program.load(told["load"])
    speaking = dspy.context(lm=language_model(service))
    with contextlib.closing(service), contextlib.redirect_stdout(sys.stderr), speaking:
        came = DOING[told["do"]](program, told)
    print(json.dumps(came))


if __name__ == "__main__":
    main()
