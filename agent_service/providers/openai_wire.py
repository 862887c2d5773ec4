"""OpenAI's protocol over HTTP, as the client that langchain-openai asks for.

In the place of OpenAI's SDK, which makes nested objects of every piece of an answer and checks each of their fields:
two thirds of an answer's CPU. langchain-openai takes plain dictionaries as well.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Self

import numpy as np

from agent_service.providers.bounded_http2 import BoundedTransport
from agent_service.providers.event_lines import Unreadable, data_lines, drained, error_body, parsed

END = b"[DONE]"
BLOCKED = ("content_policy_violation", "content_filter")
"""Codes of a prompt that is refused for what it says: an answer of its kind, and not a mistake of ours."""


class Refused(Exception):
    """A status that is not a success, or an error in mid-stream, which has none: then `status` is what its body says,
    and `shown` None.
    """

    def __init__(self, status: int, shown: int | None, body: Any, retry_after: str | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.shown = shown
        self.retry_after = retry_after
        error = body.get("error") if isinstance(body, dict) else None
        self.code = error.get("code") if isinstance(error, dict) else None


class Wire:
    """One server. `key` empty: none is sent. A relative of OpenAI's may not know its newer names."""

    def __init__(self, http: BoundedTransport, url: str, key: str, *, relative: bool) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = ({"authorization": f"Bearer {key}"} if key else {}) | {"content-type": "application/json"}
        self.relative = relative

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer with its body still to come. Raises Refused."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        response = await self._http.post(self._url + path, self._headers, content)
        if response.status_code != 200:
            try:
                said = await error_body(response)
            finally:
                await response.aclose()
            raise Refused(response.status_code, response.status_code, said, response.headers.get("retry-after"))
        return response


class Completions:
    """What ChatOpenAI asks its client for."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def create(self, **payload: Any) -> "Chunks":
        if self._wire.relative and "max_completion_tokens" in payload:
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        try:
            return Chunks(await self._wire.post("/chat/completions", payload))
        except Refused as refusal:
            if refusal.code in BLOCKED:
                return Chunks(None)
            raise


class Chunks:
    """A streamed answer's chunks as dictionaries; without a response, those of a prompt that was blocked."""

    def __init__(self, response: Any) -> None:
        self._response = response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            await self._response.aclose()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        if self._response is None:
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}
            return
        lines = data_lines(self._response)
        async for data in lines:
            if data == END:
                await drained(lines)
                return
            chunk = parsed(data)
            if error := chunk.get("error"):
                raise Refused(_status_told(error), None, chunk)
            yield chunk


told_tokens: ContextVar[list[int]] = ContextVar("told_tokens")
"""Where `Embeddings` leaves the tokens that the server counted, which LangChain does not hand on."""


class Embeddings:
    """What OpenAIEmbeddings asks its client for."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def create(self, **payload: Any) -> dict[str, Any]:
        if not self._wire.relative:
            payload["encoding_format"] = "base64"  # a fifth of the bytes, and no numbers to parse
        response = await self._wire.post("/embeddings", payload)
        try:
            answer = json.loads(await response.aread())
        finally:
            await response.aclose()
        items = sorted(answer["data"], key=lambda item: item["index"])
        read = (answer.get("usage") or {}).get("prompt_tokens")
        if isinstance(read, int) and read > 0:
            told_tokens.get().append(read)
        return {"data": [{"embedding": _vector(item["embedding"])} for item in items]}


def _vector(given: Any) -> list[float]:
    if isinstance(given, str):
        vector: list[float] = np.frombuffer(base64.b64decode(given), dtype="<f4").tolist()
        return vector
    if not isinstance(given, list):
        raise Unreadable("an embedding is neither a list nor base64")
    return given


def _status_told(error: Any) -> int:
    """Servers that fail in mid-stream put a status, a word or nothing into the error."""
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 600:
        return code
    return 429 if isinstance(error, dict) and "rate_limit" in str(code or error.get("type")) else 503
