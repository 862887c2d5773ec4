"""The stages as DSPy's modules. A saved program is what `agent_service/pipeline/agents/programs.py` reads, and what a
predictor has learnt is applied here by that file too: what is optimised is what the service will do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
from dspy.predict.parameter import Parameter

from agent_service.contract import ChatRequest, Hit, Passage, RetrieveRequest
from agent_service.pipeline.agents import search_plan
from agent_service.pipeline.agents.programs import Asking, Predictor, learnt
from agent_service.pipeline.agents.search_plan import SearchPlan
from programs.engine import lm_request
from programs.service import AgentService, Bot

Texts = Callable[[Sequence[Hit]], list[Passage]]
"""The passages of hits, in their order: the agent service keeps no texts."""

Dressing = Callable[[Predictor, Mapping[str, Any]], ChatRequest]
"""A request with what a predictor has learnt, for a signature's inputs."""


class Search(dspy.Signature):
    """Find the words that the passages with the answer use."""

    question: str = dspy.InputField()
    response: str = dspy.OutputField(desc="a JSON object")


class Reply(dspy.Signature):
    """Answer the question from the passages."""

    question: str = dspy.InputField()
    context: list[Passage] = dspy.InputField()
    answer: str = dspy.OutputField()


class _Adapter(dspy.Adapter):
    """Asks as the service does, in the place of DSPy's own prompts; the whole of what is said is the one output."""

    def __init__(self, stage: Asking, dress: Dressing) -> None:
        super().__init__()
        self._stage = stage
        self._dress = dress

    def __call__(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
    ) -> list[dict[str, str]]:
        predictor = learnt(self._stage, signature.instructions, [dict(demo) for demo in demos])
        settings = {**lm.kwargs, **lm_kwargs}
        request = self._dress(predictor, inputs).model_copy(update={"temperature": settings["temperature"]})
        said = lm(lm_request(request), rollout_id=settings.get("rollout_id")).text or ""
        return [dict.fromkeys(signature.output_fields, said)]


class _Predict(dspy.Predict):
    def __init__(self, stage: Asking, signature: type[dspy.Signature], dress: Dressing, **config: Any) -> None:
        super().__init__(signature, **config)
        self._adapter = _Adapter(stage, dress)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        with dspy.context(adapter=self._adapter):
            return super().forward(**inputs)

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """Without the passages, which no prompt shows again: they are a bot's documents."""
        state = super().dump_state(json_mode)
        demos = [{name: value for name, value in demo.items() if name != "context"} for demo in state["demos"]]
        return {**state, "demos": demos}


class Query(dspy.Module):
    """Looks at a question before the search. `resources` are titles by name, as an agent's file has them."""

    def __init__(self, bot: Bot, resources: Mapping[str, str] | None = None) -> None:
        self._bot = bot
        self._resources = resources or {}
        self.predict = _Predict("query", Search, self._dressed, temperature=0.0)

    def forward(self, question: str) -> dspy.Prediction:
        said = self.predict(question=question)
        plan = search_plan.read(said.response, self._resources) or SearchPlan()
        return dspy.Prediction(terms=plan.searched)

    def _dressed(self, predictor: Predictor, inputs: Mapping[str, Any]) -> ChatRequest:
        return ChatRequest(
            model=self._bot.model,
            temperature=0.0,
            instructions=predictor.told(search_plan.system_prompt(self._resources)),
            strictness="free",
            question=search_plan.conversation(inputs["question"], ()),
            max_output_tokens=search_plan.REPLY_TOKENS,
        )


class Retrieve(dspy.Module, Parameter):
    """Saved is the number of passages, as `dspy.Retrieve` does it."""

    def __init__(self, service: AgentService, texts: Texts, k: int) -> None:
        self._service = service
        self._texts = texts
        self.k = k

    def forward(self, question: str, terms: Sequence[str] = ()) -> dspy.Prediction:
        request = RetrieveRequest(
            embedding=self._service.bot.embedding, query=question, limit=self.k, terms=list(terms)
        )
        return dspy.Prediction(passages=self._texts(self._service.retrieve(request).hits))

    def reset(self) -> None:
        """Nothing: the number of passages is chosen, not learnt from examples."""

    def dump_state(self, json_mode: bool = True) -> dict[str, int]:  # noqa: ARG002 - of the parent
        return {"k": self.k}

    def load_state(self, state: Mapping[str, int], *, allow_unsafe_lm_state: bool = False) -> None:  # noqa: ARG002
        self.k = state["k"]


class Answer(dspy.Module):
    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self.predict = _Predict("answer", Reply, self._dressed)

    def forward(self, question: str, context: list[Passage]) -> dspy.Prediction:
        return self.predict(question=question, context=context)

    def _dressed(self, predictor: Predictor, inputs: Mapping[str, Any]) -> ChatRequest:
        bot = self._bot
        request = ChatRequest(
            model=bot.model,
            temperature=bot.temperature,
            instructions=bot.instructions,
            strictness=bot.strictness,
            question=inputs["question"],
            passages=inputs["context"],
            max_output_tokens=bot.max_output_tokens,
        )
        return predictor.dressed(request)


class Program(dspy.Module):
    """`save` to a file that ends in `.json`; the service reads no other form."""

    def __init__(self, query: Query, retrieve: Retrieve, answer: Answer) -> None:
        self.query = query
        self.retrieve = retrieve
        self.answer = answer

    def forward(self, question: str) -> dspy.Prediction:
        terms = self.query(question=question).terms
        passages = self.retrieve(question=question, terms=terms).passages
        return dspy.Prediction(answer=self.answer(question=question, context=passages).answer, passages=passages)
