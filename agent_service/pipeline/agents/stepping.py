"""Answers that take steps: a model that asks for tools until it can answer, within limits of steps, time and tokens.

The tools belong to the caller: each call goes out as an event and comes back as a result. When the model begins to
answer, the passages that were found are known, and its words go the way of every other answer: markers, checked
citations, usage.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, cast

from agent_service.contract import (
    MAX_CALLS_PER_STEP,
    CitationsEvent,
    DeltaEvent,
    DoneEvent,
    ProcessRequest,
    ToolCallEvent,
    ToolResult,
    ToolSpec,
    Usage,
    UsageEvent,
)
from agent_service.errors import InvalidRequest, Misconfigured, UpstreamError
from agent_service.pipeline.agents.framing import (
    ENOUGH,
    NO_SUCH_TOOL,
    RULES,
    TOO_MANY,
    UNREADABLE,
    Shelf,
    characters,
    framed,
)
from agent_service.pipeline.answering import Event, Speaker, answer
from agent_service.pipeline.calling import Limits, Policy, Upstream
from agent_service.pipeline.prompting import build_prompt
from agent_service.pipeline.stopping import before_stop
from agent_service.pipeline.tokens import split_model
from agent_service.ports import Piece, Prompt, ToolCall, ToolLoop, ToolUser

log = logging.getLogger(__name__)

ProcessEvent = Event | ToolCallEvent

SEARCH = "knowledge_search"
GIVEN_UP = "I could not finish this within the steps, the time and the credits that this bot allows for an answer."
HELD_CHARS = 400
"""What a model says before it calls a tool is not part of the answer; what it has said at this length is."""

BYTES_PER_TOKEN_AT_LEAST = 2
GROWTH_TOKENS = 1_500
"""What a result of a tool is taken to add to the next step's prompt, in deciding whether there can be one."""

ANSWERING_SHARE = 0.3
"""Of the time, which is kept for the answer itself."""

_ENDLESS = 10**9


class CallUnknown(InvalidRequest):
    """A result came for a call that was not made, or that has its result already."""

    code = "tool_call_unknown"


class Results:
    """Where results of tools come in, by the ids of their calls."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[ToolResult]] = {}

    def expect(self, identity: str) -> "asyncio.Future[ToolResult]":
        self._waiting[identity] = asyncio.get_running_loop().create_future()
        return self._waiting[identity]

    def give(self, result: ToolResult) -> None:
        """Raises CallUnknown."""
        waiting = self._waiting.pop(result.id, None)
        if waiting is None or waiting.done():
            raise CallUnknown(details={"id": result.id[:100]})
        waiting.set_result(result)


async def process(
    request: ProcessRequest,
    *,
    speakers: Sequence[Speaker],
    loop: ToolLoop | None,
    results: Results,
    budget: int | None,
) -> AsyncGenerator[ProcessEvent, None]:
    """Ends with exactly one DoneEvent or raises. A model that knows no tools searches once, for the question."""
    able = [speaker for speaker in speakers if isinstance(speaker.model, ToolUser)]
    if not able or not request.tools:
        async with aclosing(_searched_once(request, speakers, results, budget)) as events:
            async for event in events:
                yield event
        return
    if loop is None:
        raise Misconfigured("There is no loop for tools here.")
    work = _Work(request, able, results, budget)
    task = asyncio.create_task(work.run(loop))
    try:
        async for call in work.calls():
            yield call
        async with aclosing(work.answered()) as events:
            async for event in events:
                yield event
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _searched_once(
    request: ProcessRequest, speakers: Sequence[Speaker], results: Results, budget: int | None
) -> AsyncGenerator[ProcessEvent, None]:
    shelf = Shelf(list(request.passages))
    if any(tool.name == SEARCH for tool in request.tools):
        expected = results.expect("1.1")
        yield ToolCallEvent(id="1.1", step=1, name=SEARCH, arguments={"query": request.question})
        try:
            async with asyncio.timeout(request.seconds_limit):
                result = await expected
        except TimeoutError as error:
            raise UpstreamError("timeout", "tools") from error
        for passage in result.passages:
            shelf.number(passage)
    known = request.model_copy(update={"passages": shelf.passages, "max_output_tokens": request.step_output_tokens})
    async with aclosing(answer(known, speakers=speakers, budget=budget)) as events:
        async for event in events:
            yield event


@dataclass(frozen=True, slots=True)
class _Broken:
    error: BaseException


class _Ended:
    """The loop has ended, with or without an answer."""


@dataclass(slots=True)
class _Spent:
    """Of all steps together. One that was estimated makes the sum an estimate."""

    read: int = 0
    written: int = 0
    estimated: bool = False

    def add(self, usage: Usage) -> None:
        self.read += usage.input_tokens
        self.written += usage.output_tokens
        self.estimated = self.estimated or usage.estimated


@dataclass(slots=True, eq=False)
class _Work:
    """The steps of one answer: what the loop asks for, and what the caller hears of it."""

    request: ProcessRequest
    speakers: Sequence[Speaker]
    results: Results
    budget: int | None
    shelf: Shelf = field(init=False)
    _tools: Mapping[str, ToolSpec] = field(init=False)
    _speaker: Speaker = field(init=False)
    _prompt: Prompt = field(init=False)
    _deadline: float = field(init=False)
    _size: int = field(init=False)
    _spent: _Spent = field(default_factory=_Spent)
    _step: int = 0
    _calls_made: int = 0
    _limited: bool = False
    _shown: bool = False
    _calls: "asyncio.Queue[ToolCallEvent | _Broken | _Ended | None]" = field(default_factory=asyncio.Queue)
    _pieces: "asyncio.Queue[Piece | _Broken | _Ended]" = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        request = self.request
        self._deadline = _now() + request.seconds_limit
        self.shelf = Shelf(list(request.passages))
        self._tools = {tool.name: tool for tool in request.tools}
        self._speak_as(self.speakers[0])

    def _speak_as(self, speaker: Speaker) -> None:
        """Raises PromptTooLong."""
        request = self.request
        most = min(request.step_output_tokens, speaker.max_output_tokens or request.step_output_tokens)
        prompt = build_prompt(request, max_output_tokens=most, context_tokens=speaker.model.context_tokens)
        self._speaker = speaker
        self._prompt = replace(prompt, system=f"{prompt.system}\n\n{RULES}")
        told = [json.dumps(tool.model_dump()) for tool in request.tools]
        self._size = characters([self._prompt.system, *(turn.text for turn in prompt.history), prompt.message, *told])

    # What the caller hears

    async def calls(self) -> AsyncIterator[ToolCallEvent]:
        """Those that are made before the answer begins, or the steps end without one."""
        while (heard := await self._calls.get()) is not None:
            if isinstance(heard, _Broken):
                raise heard.error
            if isinstance(heard, _Ended):
                return
            yield heard

    async def answered(self) -> AsyncGenerator[Event, None]:
        if not self._shown:
            for event in self._given_up():
                yield event
            return
        known = self.request.model_copy(update={"passages": self.shelf.passages})
        speaker = Speaker(
            _Speaking(self._speaker, self._pieces),
            Upstream(self._speaker.model.id, Policy(breaker_failures=_ENDLESS)),
            Limits(max(0.0, self._deadline - _now())),
            sees=self._speaker.sees,
        )
        async with aclosing(answer(known, speakers=[speaker], budget=self.budget)) as events:
            async for event in events:
                yield event

    def _given_up(self) -> list[Event]:
        return [
            DeltaEvent(text=before_stop(GIVEN_UP, self.request.stop)),
            CitationsEvent(citations=[], rejected=0),
            UsageEvent(**self._usage().model_dump()),
            DoneEvent(finish_reason="limit"),
        ]

    # What the loop asks for

    async def run(self, loop: ToolLoop) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await loop.run(self._prompt, self)
        except TimeoutError:
            self._break(UpstreamError("timeout", self._speaker.model.id))
        except Exception as error:  # noqa: BLE001 - raised again where the events are read
            self._break(error)
        else:
            self._calls.put_nowait(_Ended())
            self._pieces.put_nowait(_Ended())

    async def speak(self, dialogue: Sequence[Any]) -> Any:
        """The model's next message; None where there is no more to say."""
        if self._shown or self._limited or not self._affords(1):
            self._limited = self._limited or not self._shown
            return None
        self._step += 1
        self._calls_made = 0
        last = self._step >= self.request.step_limit or not self._affords(2) or self._late()
        said = _Said()
        heard = [*dialogue, ENOUGH] if last and self._step > 1 else dialogue
        await self._heard(said, heard, may_call=not last)
        self._count(said)
        if said.reason == "tools" and not self._shown:
            self._limited = last
            return None if last else said.message
        self._release(said, self._usage())
        self._pieces.put_nowait(Piece(finish_reason=self._end(said, last=last), usage=self._usage()))
        return None

    async def use(self, call: ToolCall) -> str:
        self._calls_made += 1
        if self._calls_made > MAX_CALLS_PER_STEP:
            return TOO_MANY
        if call.name not in self._tools:
            log.info("A model asked for a tool that it does not have")
            return NO_SUCH_TOOL
        if call.unreadable:
            return UNREADABLE
        identity = f"{self._step}.{self._calls_made}"  # servers have been seen to call every call "call_0"
        expected = self.results.expect(identity)
        arguments = dict(call.arguments)
        self._calls.put_nowait(ToolCallEvent(id=identity, step=self._step, name=call.name, arguments=arguments))
        read = framed(await expected, self.shelf)
        self._size += characters([read])
        return read

    async def _heard(self, said: "_Said", dialogue: Sequence[Any], *, may_call: bool) -> None:
        """One step of the model. Before its first step another model may take its place; afterwards the dialogue is in
        this vendor's own messages."""
        chain = self.speakers if self._step == 1 else [self._speaker]
        for place, speaker in enumerate(chain, start=1):
            if speaker is not self._speaker:
                self._speak_as(speaker)
            try:
                await self._listen(said, dialogue, may_call=may_call)
            except UpstreamError as error:
                if place == len(chain) or said.begun:
                    raise
                log.warning("%s: %s before the first step, asking another model", speaker.model.id, error.kind)
            else:
                return

    async def _listen(self, said: "_Said", dialogue: Sequence[Any], *, may_call: bool) -> None:
        speaker, prompt = self._speaker, self._prompt
        model = cast(ToolUser, speaker.model)
        limits = speaker.limits.within(self._deadline - _now(), speaker.limits.retries)
        tools = self.request.tools
        stream = speaker.upstream.stream(lambda: model.step(prompt, dialogue, tools, may_call=may_call), limits)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                said.take(piece)
                if self._shown:
                    self._pieces.put_nowait(Piece(text=piece.text, usage=self._usage_with(said)))
                elif len(said.text) > HELD_CHARS:
                    self._release(said, self._usage_with(said))
                if piece.finish_reason is not None:
                    break
        if said.reason is None or (said.reason == "stop" and not said.text.strip()):
            raise UpstreamError("incomplete", speaker.model.id)

    def _release(self, said: "_Said", usage: Usage) -> None:
        """From here on it is the answer. Who hears no more than this is told the usage up to here."""
        if not self._shown:
            self._shown = True
            self._calls.put_nowait(None)
            self._pieces.put_nowait(Piece(text=said.text, usage=usage))

    def _end(self, said: "_Said", *, last: bool) -> str | None:
        """Tools that are asked for after the answer has begun are not called."""
        if last and self._step > 1:
            return "limit"
        return "stop" if said.reason == "tools" else said.reason

    def _break(self, error: BaseException) -> None:
        self._calls.put_nowait(_Broken(error))
        self._pieces.put_nowait(_Broken(error))

    # Limits

    def _affords(self, steps: int) -> bool:
        """Whether so many further steps fit into what may be read and written, by an estimate that is rather too
        high."""
        read = -(-self._size // BYTES_PER_TOKEN_AT_LEAST)
        written = self._prompt.max_output_tokens
        together = steps * read + (steps - 1) * (written + GROWTH_TOKENS)
        most_written = min(self.request.max_output_tokens, self.budget or self.request.max_output_tokens)
        return (
            self._spent.read + together <= self.request.max_input_tokens
            and self._spent.written + steps * written <= most_written
        )

    def _late(self) -> bool:
        return self._deadline - _now() < ANSWERING_SHARE * self.request.seconds_limit

    def _count(self, said: "_Said") -> None:
        """As the model reported it, within what it was given and allowed."""
        reported, size = said.usage, self._size
        self._size += characters([said.text]) + said.calls_size
        if reported is None or reported.input_tokens < 0 or reported.output_tokens < 0:
            read = -(-size // 4)
            self._spent.add(_usage(self._speaker, read, -(-characters([said.text]) // 4), estimated=True))
            return
        read = min(reported.input_tokens, self._speaker.model.context_tokens)
        written = min(reported.output_tokens, self._prompt.max_output_tokens)
        self._spent.add(_usage(self._speaker, read, written, estimated=reported.estimated))

    def _usage_with(self, said: "_Said") -> Usage:
        """And of the step whose end has not come: an estimate."""
        spent = self._spent
        read, written = spent.read + -(-self._size // 4), spent.written + -(-characters([said.text]) // 4)
        return _usage(self._speaker, read, written, estimated=True)

    def _usage(self) -> Usage:
        spent = self._spent
        return _usage(self._speaker, spent.read, spent.written, estimated=spent.estimated)


@dataclass(slots=True)
class _Said:
    """One message of the model as it comes in."""

    text: str = ""
    reason: str | None = None
    usage: Usage | None = None
    message: Any = None
    begun: bool = False

    def take(self, piece: Piece) -> None:
        self.begun = True
        self.text += piece.text
        self.usage = piece.usage or self.usage
        self.message = piece.message if piece.message is not None else self.message
        self.reason = piece.finish_reason

    @property
    def calls_size(self) -> int:
        calls = getattr(self.message, "tool_calls", ())
        return characters([json.dumps(call["args"], default=str) for call in calls])


class _Speaking:
    """The step that answers, as a chat model: what is left of its words. Asked again, for questions that might follow,
    it is the model itself."""

    context_tokens = _ENDLESS

    def __init__(self, speaker: Speaker, pieces: "asyncio.Queue[Piece | _Broken | _Ended]") -> None:
        self.id = speaker.model.id
        self._model = speaker.model
        self._words: asyncio.Queue[Piece | _Broken | _Ended] | None = pieces

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        words, self._words = self._words, None
        if words is None:
            async for piece in self._model.stream(prompt):
                yield piece
            return
        while not isinstance(heard := await words.get(), _Ended):
            if isinstance(heard, _Broken):
                raise heard.error
            yield heard
            if heard.finish_reason is not None:
                return


def _usage(speaker: Speaker, read: int, written: int, *, estimated: bool) -> Usage:
    provider, model = split_model(speaker.model.id)
    return Usage(provider=provider, model=model, input_tokens=read, output_tokens=written, estimated=estimated)


def _now() -> float:
    return asyncio.get_running_loop().time()
