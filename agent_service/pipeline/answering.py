"""An answer as a stream of events: deltas, then citations, questions that might follow, usage and done; or an error
raised, where it cannot be completed.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast, get_args

from agent_service.contract import (
    ChatRequest,
    ChatResponse,
    CitationsEvent,
    DeltaEvent,
    DoneEvent,
    FinishReason,
    FollowUpsEvent,
    Usage,
    UsageEvent,
)
from agent_service.errors import ImageUnsupported, PromptTooLong, UpstreamError
from agent_service.pipeline.calling import NOT_ASKED, Limits, Upstream, close_stream
from agent_service.pipeline.checking import Checked, checked
from agent_service.pipeline.citing import MarkerFilter
from agent_service.pipeline.images import check_images
from agent_service.pipeline.phrases import ENGLISH, phrases_for
from agent_service.pipeline.prompting import NOT_FOUND_SIGN, build_prompt, prompt_sha256
from agent_service.pipeline.sentences import sentence_spans
from agent_service.pipeline.stopping import StopFilter, before_stop
from agent_service.pipeline.suggesting import (
    FEWEST_TOKENS,
    SECONDS,
    TOKENS_PER_QUESTION,
    asked_before,
    read_questions,
    suggestion_prompt,
)
from agent_service.pipeline.supporting import Sources
from agent_service.pipeline.tokens import estimated_usage, no_usage, together
from agent_service.pipeline.withholding import Gate
from agent_service.ports import ChatModel, Piece, Prompt, Suggester

log = logging.getLogger(__name__)

Event = DeltaEvent | CitationsEvent | FollowUpsEvent | UsageEvent | DoneEvent

NOTHING_FOUND = ENGLISH.nothing_found
REFUSAL_CHARS = 300
CHARS_PER_TOKEN = 16
"""No real token is longer on average: a model that sends more than this for each token it was allowed ignores its
limit.
"""

LITTLE_PAIRS = 5_000_000
"""Of a character of the answer and one of its passages: compared in two or three milliseconds."""
SENTENCE_CHARS = 300
"""Of a long one, which is compared when its end has come."""

T = TypeVar("T")

_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Speaker:
    """A chat model with the way to call it."""

    model: ChatModel
    upstream: Upstream
    limits: Limits
    sees: bool = False
    max_output_tokens: int | None = None


async def answer(
    request: ChatRequest, *, speakers: Sequence[Speaker], budget: int | None
) -> AsyncGenerator[Event, None]:
    """Ends with exactly one DoneEvent or raises. `speakers` are asked in their order until one gives a word; `budget`
    caps the output tokens, as the request does.
    """
    if request.strictness == "strict" and not request.passages:
        for event in _nothing_found(request):
            yield event
        return
    if request.images:
        await asyncio.to_thread(check_images, request.images)
    chain = _chain(request, speakers, min(request.max_output_tokens, budget or request.max_output_tokens))
    deadline = asyncio.get_running_loop().time() + chain[0][0].limits.total
    draft = _Draft(*chain[0], request)
    try:
        async with aclosing(_shown(draft, chain, deadline)) as texts:
            async for text in texts:
                yield DeltaEvent(text=text)
        finish_reason = draft.checked_finish()
    except UpstreamError:
        if draft.received:
            yield _usage_event(draft.usage())
        raise
    if rest := await draft.rest():
        yield DeltaEvent(text=rest)
    async with aclosing(_closing(request, draft, draft.finish(finish_reason), deadline)) as events:
        async for event in events:
            yield event


async def _closing(
    request: ChatRequest, draft: "_Draft", finish_reason: FinishReason, deadline: float
) -> AsyncGenerator[Event, None]:
    yield await draft.told()
    usage = draft.usage()
    if request.follow_ups and finish_reason in ("stop", "length"):
        questions, spent = await _follow_ups(request, draft, usage, deadline)
        usage = together(usage, spent) if spent else usage
        if questions:
            yield FollowUpsEvent(questions=questions)
    yield _usage_event(usage)
    yield DoneEvent(finish_reason=finish_reason)


async def collected(events: AsyncIterable[Event]) -> ChatResponse:
    """The same answer in one piece."""
    text: list[str] = []
    found: dict[str, object] = {}
    async for event in events:
        match event:
            case DeltaEvent():
                text.append(event.text)
            case CitationsEvent():
                told = {name: getattr(event, name) for name in CitationsEvent.model_fields}
                found |= told | {"citations_rejected": told.pop("rejected")}
            case FollowUpsEvent():
                found["follow_ups"] = event.questions
            case UsageEvent():
                found["usage"] = Usage(**event.model_dump())
            case DoneEvent():
                found["finish_reason"] = event.finish_reason
    return ChatResponse.model_validate({"text": "".join(text), **found})


def _nothing_found(request: ChatRequest) -> list[Event]:
    return [
        DeltaEvent(text=before_stop(phrases_for(request.question).nothing_found, request.stop)),
        CitationsEvent(citations=[], rejected=0),
        _usage_event(no_usage(request.model)),
        DoneEvent(finish_reason="not_found"),
    ]


def _chain(request: ChatRequest, speakers: Sequence[Speaker], most: int) -> list[tuple[Speaker, Prompt]]:
    """Those that can see what is shown and read what is asked. Raises ImageUnsupported or PromptTooLong where nobody
    can.
    """
    able = [speaker for speaker in speakers if speaker.sees or not request.images]
    if not able:
        raise ImageUnsupported(details={"model": request.model})
    chain: list[tuple[Speaker, Prompt]] = []
    for speaker in able:
        allowed = min(most, speaker.max_output_tokens or most)
        try:
            prompt = build_prompt(request, max_output_tokens=allowed, context_tokens=speaker.model.context_tokens)
        except PromptTooLong as error:
            too_long = error
        else:
            chain.append((speaker, prompt))
    if not chain:
        raise too_long
    return chain


async def _shown(
    draft: "_Draft", chain: Sequence[tuple[Speaker, Prompt]], deadline: float
) -> AsyncGenerator[str, None]:
    """Until the model ends, or a stop sequence ends it."""
    async with aclosing(_written(draft, chain, deadline)) as texts:
        async for text in texts:
            if shown := await draft.passed(text):
                yield shown
            if draft.cut:
                return


async def _written(
    draft: "_Draft", chain: Sequence[tuple[Speaker, Prompt]], deadline: float
) -> AsyncGenerator[str, None]:
    """One deadline and one number of tries for the whole chain: while there is another model, it is asked in the place
    of a second try.
    """
    clock = asyncio.get_running_loop().time
    tries = chain[0][0].limits.retries
    for place, (speaker, prompt) in enumerate(chain, start=1):
        last = place == len(chain)
        draft.speaks(speaker, prompt)
        limits = speaker.limits.within(deadline - clock(), tries if last else 0)
        try:
            async with aclosing(_texts(draft, speaker, prompt, limits)) as texts:
                async for text in texts:
                    yield text
        except UpstreamError as error:
            if last or draft.begun or clock() >= deadline:
                raise
            tries = max(0, tries - (error.kind not in NOT_ASKED))
            log.warning(
                "%s: %s before the first word, asking %s", speaker.model.id, error.kind, chain[place][0].model.id
            )
        else:
            return


async def _texts(draft: "_Draft", speaker: Speaker, prompt: Prompt, limits: Limits) -> AsyncGenerator[str, None]:
    async with aclosing(speaker.upstream.stream(lambda: _complete(speaker.model, prompt), limits)) as pieces:
        async for piece in pieces:
            if text := draft.take(piece):
                yield text
            if draft.finish_reason is not None:
                return


async def _complete(model: ChatModel, prompt: Prompt) -> AsyncGenerator[Piece, None]:
    """A stream that ends without a finish reason was cut, and one that stops without a word says nothing: an error,
    which counts against the model and may be tried again.
    """
    pieces = model.stream(prompt)
    begun = False
    try:
        async for piece in pieces:
            begun = begun or bool(piece.text)
            if piece.finish_reason == "stop" and not begun:
                break
            yield piece
            if piece.finish_reason is not None:
                return
    finally:
        await close_stream(pieces)
    raise UpstreamError("incomplete", model.id)


async def _follow_ups(
    request: ChatRequest, draft: "_Draft", used: Usage, deadline: float
) -> tuple[list[str], Usage | None]:
    """What it brought and what it cost. The answer stands, whatever becomes of this."""
    model = draft.speaker.model
    if isinstance(model, Suggester):
        cited = [citation.marker for citation in draft.checked.citations]
        return model.suggestions(draft.prompt, cited, request.follow_ups), None
    room = draft.prompt.max_output_tokens - used.output_tokens
    if room < FEWEST_TOKENS:
        return [], None
    most = min(room, TOKENS_PER_QUESTION * request.follow_ups)
    prompt = suggestion_prompt(draft.prompt, draft.markers.plain, request.follow_ups, most)
    seconds = min(SECONDS, deadline - asyncio.get_running_loop().time())
    limits = draft.speaker.limits.within(max(0.0, seconds), 0)
    heard = _Heard(draft.speaker, prompt)
    try:
        await _listen(heard, prompt, limits)
    except UpstreamError as error:
        log.warning("%s: no follow-up questions, %s", model.id, error.kind)
        return [], heard.usage() if heard.received else None
    asked = asked_before(request.question, request.history)
    return read_questions(heard.text, asked, request.follow_ups), heard.usage()


async def _listen(heard: "_Heard", prompt: Prompt, limits: Limits) -> None:
    speaker = heard.speaker
    stream = speaker.upstream.stream(lambda: _complete(speaker.model, prompt), limits)
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            heard.take(piece)
            if heard.finish_reason is not None:
                return


class _Heard:
    """What a model has said to one prompt, and what that cost."""

    def __init__(self, speaker: Speaker, prompt: Prompt) -> None:
        self.speaker = speaker
        self.prompt = prompt
        self.received = 0
        self.finish_reason: str | None = None
        self._reported: Usage | None = None
        self._read: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._read)

    def take(self, piece: Piece) -> str:
        room = self.prompt.max_output_tokens * CHARS_PER_TOKEN
        text = _UNSHOWABLE.sub("", piece.text)[: room - self.received]
        self.received += len(text)
        self._read.append(text)
        self._reported = piece.usage or self._reported
        self.finish_reason = piece.finish_reason
        if self.received >= room and self.finish_reason is None:
            self.finish_reason = "length"
        return text

    def usage(self) -> Usage:
        """As the model reported it, in the bounds of what it was asked and allowed; estimated where it reported
        nothing sensible.
        """
        prompt, reported, model = self.prompt, self._reported, self.speaker.model
        if reported is None or reported.input_tokens < 0 or reported.output_tokens < 0:
            read = "".join((prompt.system, *(turn.text for turn in prompt.history), prompt.message))
            reported = estimated_usage(model.id, read, self.text, images=len(prompt.images))
        return Usage(
            provider=reported.provider,
            model=reported.model,
            input_tokens=min(reported.input_tokens, model.context_tokens),
            output_tokens=min(reported.output_tokens, prompt.max_output_tokens),
            estimated=reported.estimated,
        )


class _Draft:
    """What has arrived of an answer and what of it may be shown."""

    def __init__(self, speaker: Speaker, prompt: Prompt, request: ChatRequest) -> None:
        self.markers = MarkerFilter(len(prompt.passages))
        self.begun = False
        self.refused = False
        self.checked = Checked([], [], 0)
        self._request = request
        self._gate: Gate | None = None
        self._stop = StopFilter(request.stop)
        self._position = 0
        self._opening: str | None = "" if request.strictness == "strict" else None
        self._refusal: str | None = None
        self.speaks(speaker, prompt)

    def speaks(self, speaker: Speaker, prompt: Prompt) -> None:
        """Whoever answers, until it has begun."""
        self.speaker = speaker
        self.prompt = prompt
        self._heard = _Heard(speaker, prompt)

    @property
    def received(self) -> int:
        return self._heard.received

    @property
    def finish_reason(self) -> str | None:
        return self._heard.finish_reason

    @property
    def cut(self) -> bool:
        """A stop sequence has ended the text."""
        return self._stop.cut

    def usage(self) -> Usage:
        return self._heard.usage()

    def take(self, piece: Piece) -> str:
        self.begun = True
        return self.markers.feed(self._after_sign(self._heard.take(piece)))

    async def passed(self, text: str) -> str:
        """What may be shown now that this text has come."""
        if self._request.check == "mark" or not text:
            return self._stop.feed(text)
        return self._stop.feed(await self._compared(self._through_gate, SENTENCE_CHARS + len(text)))

    async def rest(self) -> str:
        if self.cut:
            return ""
        return self._stop.feed(await self._unsaid()) + self._stop.flush()

    async def _unsaid(self) -> str:
        if self._refusal is not None:
            self.refused = True
            return await self._compared(partial(self._said_refusal, _first_sentence(self._refusal)), REFUSAL_CHARS)
        held, self._opening = self._opening or "", None
        rest = self.markers.feed(held) + self.markers.flush()
        if self._request.check == "mark":
            return rest
        return await self._compared(self._last_through_gate, SENTENCE_CHARS)

    async def _compared(self, compare: Callable[[], T], chars: int) -> T:
        """In a thread where so many characters with all passages are much, which would hold up every other stream; for
        little the way there takes longer than the work."""
        if chars * sum(len(passage.text) for passage in self.prompt.passages) <= LITTLE_PAIRS:
            return compare()
        return await asyncio.to_thread(compare)

    async def told(self) -> CitationsEvent:
        if not self.refused and self.finish_reason != "not_found":
            self.checked = await self._compared(self._check, self._heard.received)
        return CitationsEvent(
            citations=self.checked.citations,
            rejected=self.markers.rejected + self.checked.rejected,
            sentences=self.checked.sentences,
            withheld=self._gate.withheld if self._gate else 0,
            prompt_sha256=prompt_sha256(self.prompt),
        )

    def checked_finish(self) -> FinishReason:
        """Raises UpstreamError for an answer without an end, and for an end without an answer."""
        if self.cut:
            return "stop"
        if self._refusal is not None:
            return "not_found"
        known = self.finish_reason in get_args(FinishReason)
        if not known or (self.finish_reason == "stop" and not self._heard.text.strip()):
            raise UpstreamError("incomplete", self.speaker.model.id)
        return cast(FinishReason, self.finish_reason)

    def finish(self, finish_reason: FinishReason) -> FinishReason:
        """Of all that was shown, of which the model did not write the last."""
        if self.refused:
            return "not_found"
        return "stop" if self.cut else finish_reason

    def _check(self) -> Checked:
        if self.cut:
            self._read_again()
        elif self._gate is not None:
            return self._gate.result()
        sources = Sources(self.prompt.passages, self.prompt.question)
        return checked(self.markers.plain, self.markers.marks, sources, self.prompt.passages)

    def _read_again(self) -> None:
        """Only what stands before the stop sequence is the answer, which may end in the middle of a sentence."""
        again = MarkerFilter(len(self.prompt.passages), rejected=self.markers.rejected)
        again.feed(self._stop.text)
        again.flush()
        self.markers = again

    def _through_gate(self) -> str:
        if self._gate is None:
            self._gate = Gate(self.prompt.passages, Sources(self.prompt.passages, self.prompt.question))
        plain, marks = self.markers.fresh()
        position, self._position = self._position, self._position + len(plain)
        return self._gate.feed(plain, marks, position)

    def _last_through_gate(self) -> str:
        shown = self._through_gate()
        gate = self._gate
        if gate is None:
            return shown
        shown += gate.flush(finished=self.finish_reason == "stop")
        if not gate.withheld:
            return shown
        phrases = phrases_for(self.prompt.question)
        if gate.stated:
            return f"{shown}\n\n{phrases.withheld}"
        self.refused = True
        return phrases.nothing_found

    def _said_refusal(self, sentence: str) -> str:
        """Where only what is supported is shown, a refusal is no way to say something else."""
        if self._request.check == "mark" or not self.prompt.passages:
            return sentence or phrases_for(self.prompt.question).nothing_found
        verdict = Sources(self.prompt.passages, self.prompt.question).check(sentence)
        if not sentence or (verdict.claim and not verdict.supported):
            return phrases_for(self.prompt.question).nothing_found
        return sentence

    def _after_sign(self, text: str) -> str:
        """Holds the answer's first letters back while they may be the sign that nothing was found."""
        if self._refusal is not None:
            self._refuse(text)
            return ""
        if self._opening is None:
            return text
        self._opening = (self._opening + text).lstrip()
        if self._opening.startswith(NOT_FOUND_SIGN):
            self._refusal, self._opening = "", self._opening.removeprefix(NOT_FOUND_SIGN)
            self._refuse(self._opening)
            return ""
        if NOT_FOUND_SIGN.startswith(self._opening):
            return ""
        held, self._opening = self._opening, None
        return held

    def _refuse(self, text: str) -> None:
        """One sentence is all a refusal needs: a longer one would be an answer that nobody pays."""
        self._refusal = (self._refusal or "") + text
        if len(self._refusal) > REFUSAL_CHARS:
            self._heard.finish_reason = "not_found"


def _first_sentence(refusal: str) -> str:
    plain = MarkerFilter(0)
    text = (plain.feed(refusal) + plain.flush()).lstrip(" .:,-–—\n")[:REFUSAL_CHARS]
    spans = sentence_spans(text)
    return text[slice(*spans[0])] if spans else ""


def _usage_event(usage: Usage) -> UsageEvent:
    return UsageEvent(**usage.model_dump())
