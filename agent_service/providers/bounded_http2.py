"""`bounded_http` for httpx2, which the SDKs of OpenAI and Anthropic are built on."""

from typing import Any, ClassVar

import httpx2

from agent_service.providers.bounded_http import Bounded, Bounding


class AnswerTooLarge(httpx2.DecodingError):
    """The upstream's answer is larger than any that makes sense."""


class _BoundedStream(Bounded, httpx2.AsyncByteStream):
    library: ClassVar[Any] = httpx2
    too_large = AnswerTooLarge


class BoundedTransport(Bounding, httpx2.AsyncBaseTransport):
    library: ClassVar[Any] = httpx2
    bounded = _BoundedStream


def bounded_client(*, connect_seconds: float, read_seconds: float) -> httpx2.AsyncClient:
    """Redirects are not followed: they would carry the key to wherever the answer points."""
    transport = BoundedTransport(connect_seconds=connect_seconds, read_seconds=read_seconds)
    return httpx2.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
