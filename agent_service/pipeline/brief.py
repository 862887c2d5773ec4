"""A short call of a chat model beside the answer itself, whose failure spoils nothing."""

from agent_service.contract import Usage
from agent_service.pipeline.answering import Speaker
from agent_service.pipeline.tokens import estimated_usage
from agent_service.ports import Prompt


async def said(prompt: Prompt, speaker: Speaker) -> tuple[str, Usage]:
    """The whole of what it says, and what that took. Raises UpstreamError."""
    stream = speaker.upstream.stream(lambda: speaker.model.stream(prompt), speaker.limits)
    pieces = [piece async for piece in stream]
    text = "".join(piece.text for piece in pieces)
    reported = next((piece.usage for piece in reversed(pieces) if piece.usage), None)
    return text, reported or estimated_usage(speaker.model.id, prompt.system + prompt.message, text)


def asking(system: str, message: str, *, speaker: Speaker, most: int) -> Prompt:
    """At most `most` tokens are to be written."""
    return Prompt(
        system=system,
        history=(),
        message=message,
        question=message,
        passages=(),
        temperature=0.0,
        max_output_tokens=min(most, speaker.max_output_tokens or most),
    )
