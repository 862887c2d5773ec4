"""The answer of an agent that asks no model: the passages, word for word."""

from collections.abc import AsyncGenerator

from agent_service.contract import ChatRequest, Citation, CitationsEvent, DeltaEvent, DoneEvent, UsageEvent
from agent_service.pipeline.answering import NOTHING_FOUND, Event
from agent_service.pipeline.citing import without_markers
from agent_service.pipeline.stopping import StopFilter, before_stop
from agent_service.pipeline.tokens import no_usage


async def passages_as_they_are(request: ChatRequest) -> AsyncGenerator[Event, None]:
    """Each in quotation marks with its marker, which cites the whole of it."""
    found = list(enumerate(request.passages, start=1))
    stop = StopFilter(request.stop)
    for number, passage in found:
        apart = "" if number == 1 else "\n\n"
        if shown := stop.feed(f"{apart}“{without_markers(passage.text.strip())}” [{number}]"):
            yield DeltaEvent(text=shown)
    rest = stop.flush() if found else before_stop(NOTHING_FOUND, request.stop)
    if rest:
        yield DeltaEvent(text=rest)
    cited = [
        Citation(marker=number, passage=passage.id, start=0, end=len(passage.text), quote=passage.text, score=1.0)
        for number, passage in found
        if not stop.cut or f"[{number}]" in stop.text
    ]
    yield CitationsEvent(citations=cited, rejected=0)
    yield UsageEvent(**no_usage(request.model).model_dump())
    yield DoneEvent(finish_reason="stop" if found else "not_found")
