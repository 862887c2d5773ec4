"""The loop of calls of tools: LangChain's agent on LangGraph.

Only the loop is LangChain's. Both of its middlewares answer in the place of what they wrap: the model is asked by the
pipeline, with its deadlines and breakers, and the tools by whoever called this service. So one graph, made once, serves
every bot; its state lives for one answer and is stored nowhere.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import StructuredTool
from langsmith.run_helpers import tracing_context

from agent_service.contract import MAX_STEPS
from agent_service.ports import Prompt, Steps, ToolCall
from agent_service.providers.langchain_chat import messages_of

log = logging.getLogger(__name__)

_NODES_PER_STEP = 4
"""A step is a node of the model and one of its tools; the graph counts some more."""

_UNREADABLE = "unreadable_arguments"


class LangGraphLoop:
    def __init__(self) -> None:
        self._graph: Any = create_agent(_Unasked(), [_placeholder()], middleware=[_Ours()], context_schema=Any)

    async def run(self, prompt: Prompt, steps: Steps) -> None:
        """Returns when the model has asked for no more tools; what it said has gone through `steps`."""
        # A variable of the environment could otherwise send every prompt to a tracing service.
        with tracing_context(enabled=False):
            await self._graph.ainvoke(
                {"messages": messages_of(prompt)},
                {"recursion_limit": _NODES_PER_STEP * (MAX_STEPS + 2)},
                context=steps,
            )


class _Ours(AgentMiddleware[Any, Any]):
    async def awrap_model_call(
        self, request: ModelRequest[Any], _: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> ModelResponse[Any]:
        said = await _steps(request.runtime).speak(request.messages)
        return ModelResponse(result=[_whole(said)])

    async def awrap_tool_call(
        self, request: ToolCallRequest, _: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> ToolMessage:
        asked = request.tool_call
        identity = str(asked["id"])
        arguments = dict(asked["args"])
        unreadable = arguments.pop(_UNREADABLE, False) is True
        said = await _steps(request.runtime).use(ToolCall(identity, asked["name"], arguments, unreadable))
        return ToolMessage(said, tool_call_id=identity, name=asked["name"])


def _steps(runtime: Any) -> Steps:
    steps: Steps = runtime.context
    return steps


def _whole(said: Any) -> BaseMessage:
    """As one message of the dialogue. Calls whose arguments cannot be read are calls all the same: the model has to
    learn of them, or it would be taken to have finished."""
    message: Any = said if said is not None else AIMessage("")
    unreadable = [
        {"name": call["name"] or "", "args": {_UNREADABLE: True}, "id": call["id"] or f"unreadable-{place}"}
        for place, call in enumerate(getattr(message, "invalid_tool_calls", ()))
    ]
    return AIMessage(
        content=message.content,
        tool_calls=[*message.tool_calls, *unreadable],
        additional_kwargs={name: value for name, value in message.additional_kwargs.items() if name != "tool_calls"},
        response_metadata=message.response_metadata,
    )


class _Unasked(BaseChatModel):
    """Stands where LangChain wants a model, and is never asked."""

    @property
    def _llm_type(self) -> str:
        return "unasked"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError


def _placeholder() -> StructuredTool:
    """A graph without any tool would have no place to run one in."""
    return StructuredTool(
        name="placeholder", description="None", args_schema={"type": "object", "properties": {}}, func=None
    )
