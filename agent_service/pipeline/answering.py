"""An answer as a stream of events: deltas, then citations, usage and done; or an error raised, where it cannot be
completed.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast, get_args

from agent_service.contract import (
    ChatRequest,
    ChatResponse,
    Citation,
    CitationsEvent,
    DeltaEvent,
    DoneEvent,
    FinishReason,
    Usage,
    UsageEvent,
)
from agent_service.errors import ImageUnsupported, PromptTooLong, UpstreamError
from agent_service.pipeline.calling import NOT_ASKED, Limits, Upstream, close_stream
from agent_service.pipeline.citing import MarkerFilter, citations
from agent_service.pipeline.images import check_images
from agent_service.pipeline.prompting import NOT_FOUND_SIGN, build_prompt
from agent_service.pipeline.sentences import sentence_spans
from agent_service.pipeline.tokens import estimated_usage, no_usage
from agent_service.ports import ChatModel, Piece, Prompt

log = logging.getLogger(__name__)

Event = DeltaEvent | CitationsEvent | UsageEvent | DoneEvent

NOTHING_FOUND = "Nothing about this was found in the documents."
REFUSAL_CHARS = 300
CHARS_PER_TOKEN = 16
"""No real token is longer on average: a model that sends more than this for each token it was allowed ignores its
limit.
"""

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
        for event in _nothing_found(request.model):
            yield event
        return
    if request.images:
        await asyncio.to_thread(check_images, request.images)
    chain = _chain(request, speakers, min(request.max_output_tokens, budget or request.max_output_tokens))
    draft = _Draft(*chain[0], strict=request.strictness == "strict")
    try:
        async with aclosing(_written(draft, chain)) as texts:
            async for text in texts:
                yield DeltaEvent(text=text)
        finish_reason = draft.checked_finish()
    except UpstreamError:
        if draft.received:
            yield _usage_event(draft.usage())
        raise
    if rest := draft.rest():
        yield DeltaEvent(text=rest)
    yield CitationsEvent(citations=await draft.citations(), rejected=draft.markers.rejected)
    yield _usage_event(draft.usage())
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
                found |= {"citations": event.citations, "citations_rejected": event.rejected}
            case UsageEvent():
                found["usage"] = Usage(**event.model_dump())
            case DoneEvent():
                found["finish_reason"] = event.finish_reason
    return ChatResponse.model_validate({"text": "".join(text), **found})


def _nothing_found(model_id: str) -> list[Event]:
    return [
        DeltaEvent(text=NOTHING_FOUND),
        CitationsEvent(citations=[], rejected=0),
        _usage_event(no_usage(model_id)),
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


async def _written(draft: "_Draft", chain: Sequence[tuple[Speaker, Prompt]]) -> AsyncGenerator[str, None]:
    """One deadline and one number of tries for the whole chain: while there is another model, it is asked in the place
    of a second try.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + chain[0][0].limits.total
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


class _Draft:
    """What has arrived of an answer and what of it may be shown."""

    def __init__(self, speaker: Speaker, prompt: Prompt, *, strict: bool) -> None:
        self.markers = MarkerFilter(len(prompt.passages))
        self.finish_reason: str | None = None
        self.received = 0
        self.begun = False
        self.speaks(speaker, prompt)
        self._opening: str | None = "" if strict else None
        self._refusal: str | None = None
        self._reported: Usage | None = None
        self._read: list[str] = []

    def speaks(self, speaker: Speaker, prompt: Prompt) -> None:
        """Whoever answers, until it has begun."""
        self._model = speaker.model
        self._prompt = prompt
        self._room = prompt.max_output_tokens * CHARS_PER_TOKEN

    def take(self, piece: Piece) -> str:
        self.begun = True
        text = _UNSHOWABLE.sub("", piece.text)[: self._room - self.received]
        self.received += len(text)
        self._read.append(text)
        self._reported = piece.usage or self._reported
        self.finish_reason = piece.finish_reason
        if self.received >= self._room and self.finish_reason is None:
            self.finish_reason = "length"
        return self.markers.feed(self._after_sign(text))

    def rest(self) -> str:
        if self._refusal is not None:
            return _first_sentence(self._refusal)
        held, self._opening = self._opening or "", None
        return self.markers.feed(held) + self.markers.flush()

    def checked_finish(self) -> FinishReason:
        """Raises UpstreamError for an answer without an end, and for an end without an answer."""
        if self._refusal is not None:
            return "not_found"
        known = self.finish_reason in get_args(FinishReason)
        if not known or (self.finish_reason == "stop" and not "".join(self._read).strip()):
            raise UpstreamError("incomplete", self._model.id)
        return cast(FinishReason, self.finish_reason)

    async def citations(self) -> list[Citation]:
        if self._refusal is not None or self.finish_reason == "not_found":
            return []
        # In a thread: comparing sentences of many long passages would hold up every other stream.
        return await asyncio.to_thread(citations, self.markers.plain, self.markers.marks, self._prompt.passages)

    def usage(self) -> Usage:
        """As the model reported it, in the bounds of what it was asked and allowed; estimated where it reported
        nothing sensible.
        """
        prompt, reported = self._prompt, self._reported
        if reported is None or reported.input_tokens < 0 or reported.output_tokens < 0:
            read = "".join((prompt.system, *(turn.text for turn in prompt.history), prompt.message))
            reported = estimated_usage(self._model.id, read, "".join(self._read), images=len(prompt.images))
        return Usage(
            provider=reported.provider,
            model=reported.model,
            input_tokens=min(reported.input_tokens, self._model.context_tokens),
            output_tokens=min(reported.output_tokens, prompt.max_output_tokens),
            estimated=reported.estimated,
        )

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
            self.finish_reason = "not_found"


def _first_sentence(refusal: str) -> str:
    plain = MarkerFilter(0)
    text = (plain.feed(refusal) + plain.flush()).lstrip(" .:,-–—\n")[:REFUSAL_CHARS]
    spans = sentence_spans(text)
    return text[slice(*spans[0])] if spans else NOTHING_FOUND


def _usage_event(usage: Usage) -> UsageEvent:
    return UsageEvent(**usage.model_dump())
