"""What the chat adapters over LangChain have in common: the prompt as LangChain's messages, and the loop that makes
pieces of what comes back.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import replace
from typing import Any, ClassVar

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk

from agent_service.contract import ToolSpec, Turn, Usage
from agent_service.errors import UpstreamError
from agent_service.pipeline.tokens import split_model
from agent_service.ports import Piece, Prompt
from agent_service.providers.bounded_http import Held, holding


class LangChainChat(ABC):
    """One try per call; retries and deadlines of the whole call are the pipeline's."""

    finished: ClassVar[Mapping[str, str]]
    """The vendor's reasons to finish as ours. Any other is an answer that was not completed: the stream ends without
    one."""

    reason_key: ClassVar[str] = "finish_reason"

    asks_for_tools: ClassVar[str] = "tool_calls"
    """The vendor's reason to finish with calls of tools, where it has one for that."""

    no_more_tools: ClassVar[Any] = "none"
    """LangChain's `tool_choice` for an answer without further calls."""

    def __init__(self, model_id: str, llm: BaseChatModel, http: Any, context_tokens: int) -> None:
        self.id = model_id
        self.context_tokens = context_tokens
        self._llm = llm
        self._http = http

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        async with aclosing(self._pieces(*self.told(prompt), Ending(self))) as pieces:
            async for piece in pieces:
                yield piece

    async def step(
        self, prompt: Prompt, dialogue: Sequence[Any], tools: Sequence[ToolSpec], *, may_call: bool
    ) -> AsyncGenerator[Piece, None]:
        """The tools are told also where they may not be called: vendors refuse a dialogue whose tools they do not
        know."""
        ending = StepEnding(self)
        with self.translated():
            bound: Any = self._llm.bind_tools(
                [{"type": "function", "function": tool.model_dump()} for tool in tools],
                **({} if may_call else {"tool_choice": self.no_more_tools}),
            )
        arguments = {**self.arguments(prompt), **bound.kwargs}
        async with aclosing(self._pieces(_messages(dialogue), arguments, ending)) as pieces:
            async for piece in pieces:
                yield piece if piece.finish_reason is None else ending.whole(piece)

    async def _pieces(
        self, messages: list[BaseMessage], arguments: Mapping[str, Any], ending: "Ending"
    ) -> AsyncGenerator[Piece, None]:
        held = Held()
        # Past `astream`, whose callbacks and tracers cost a fifth of an answer's CPU, and could be switched on from
        # outside to send prompts elsewhere.
        chunks = self._llm._astream(messages, **arguments)  # noqa: SLF001
        try:
            while chunk := await self._next(chunks, held, ending):
                text = ending.note(chunk)
                if text or ending.alive:
                    yield Piece(text=text)
            if ending.worth_telling:
                yield Piece(finish_reason=ending.reason, usage=ending.usage)
        finally:
            await held.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    def told(self, prompt: Prompt) -> tuple[list[BaseMessage], dict[str, Any]]:
        """The prompt as messages, and the arguments of the call."""
        return messages_of(prompt), self.arguments(prompt)

    @abstractmethod
    def arguments(self, prompt: Prompt) -> dict[str, Any]:
        """Of the LangChain model's call, beside the messages."""

    @abstractmethod
    def translated(self, *, begun: bool = False) -> AbstractContextManager[None]:
        """Around one call of the SDK. `begun`: parts of the answer have come already."""

    def blocked(self, metadata: Mapping[str, Any]) -> bool:  # noqa: ARG002 - of most vendors
        """Whether a chunk says that the prompt itself was refused."""
        return False

    async def _next(self, chunks: Any, held: Held, ending: "Ending") -> ChatGenerationChunk | None:
        with holding(held), self.translated(begun=ending.begun):
            chunk: ChatGenerationChunk | None = await anext(chunks, None)
        if chunk is None and not ending.begun:
            raise UpstreamError("garbage", self.id) from EmptyAnswer()
        return chunk


class EmptyAnswer(Exception):
    """A success that has nothing of an answer in it."""


class Ending:
    """What is known about the end of a stream so far."""

    alive = False
    """Whether pieces without a word are handed on."""

    def __init__(self, chat: LangChainChat) -> None:
        self._chat = chat
        self._input = self._output = 0
        self._counted = False
        self.begun = False
        self.reason: str | None = None

    def note(self, chunk: ChatGenerationChunk) -> str:
        """The chunk's text."""
        self.begun = True
        message = chunk.message
        metadata = {**message.response_metadata, **(chunk.generation_info or {})}
        reason = metadata.get(self._chat.reason_key)
        if reason is not None:
            self.reason = self.finished(str(reason))
        elif self._chat.blocked(metadata):
            self.reason = "safety"
        usage = message.usage_metadata if isinstance(message, AIMessageChunk) else None
        if usage is not None:
            # LangChain has turned running totals into differences, which may well be negative.
            self._counted = True
            self._input += usage["input_tokens"]
            self._output += usage["output_tokens"]
        content = message.content
        return content if isinstance(content, str) else str(message.text)

    def finished(self, reason: str) -> str | None:
        return self._chat.finished.get(reason)

    @property
    def worth_telling(self) -> bool:
        return self.reason is not None or self._counted

    @property
    def usage(self) -> Usage | None:
        """None where the vendor did not say, or said something that cannot be: no prompt has no tokens."""
        if not self._counted or self._input <= 0 or self._output < 0:
            return None
        provider, model = split_model(self._chat.id)
        return Usage(provider=provider, model=model, input_tokens=self._input, output_tokens=self._output)


class StepEnding(Ending):
    """Of a step with tools, whose message is kept whole. A call of a tool is written without a word, and may take as
    long as an answer.
    """

    alive = True

    def __init__(self, chat: LangChainChat) -> None:
        super().__init__(chat)
        self.message: Any = None

    def note(self, chunk: ChatGenerationChunk) -> str:
        self.message = chunk.message if self.message is None else self.message + chunk.message
        return super().note(chunk)

    def whole(self, last: Piece) -> Piece:
        """Some vendors give the reason of a finished answer where tools are asked for."""
        asked = self.message.tool_calls or self.message.invalid_tool_calls
        reason = "tools" if asked and last.finish_reason == "stop" else last.finish_reason
        return replace(last, message=self.message, finish_reason=reason)

    def finished(self, reason: str) -> str | None:
        return "tools" if reason == self._chat.asks_for_tools else super().finished(reason)


def messages_of(prompt: Prompt) -> list[BaseMessage]:
    history = [_message(turn) for turn in prompt.history]
    system = [SystemMessage(prompt.system)] if prompt.system else []
    return [*system, *history, _asked(prompt)]


def _messages(dialogue: Sequence[Any]) -> list[BaseMessage]:
    return [HumanMessage(said) if isinstance(said, str) else said for said in dialogue]


def _asked(prompt: Prompt) -> BaseMessage:
    if not prompt.images:
        return HumanMessage(prompt.message)
    images = [
        {"type": "image", "source_type": "base64", "mime_type": image.media_type, "data": image.data}
        for image in prompt.images
    ]
    return HumanMessage([*images, {"type": "text", "text": prompt.message}])


def _message(turn: Turn) -> BaseMessage:
    return HumanMessage(turn.text) if turn.role == "user" else AIMessage(turn.text)
