"""Gemini's streamed answers and its embeddings over HTTP, in the place of the part of Google's SDK that
langchain-google-genai asks for.

The SDK rebuilds every piece of an answer field by field, looks for fields that it does not know, and checks the types
of all: four fifths of an answer's CPU. It also goes on asking by itself where an answer was cut for its length, which
would be calls that nobody limits.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from google.genai.errors import APIError
from google.genai.types import Content, EmbedContentConfig, GenerateContentConfig, GenerateContentResponse

from agent_service.providers.bounded_http import BoundedTransport
from agent_service.providers.event_lines import Unreadable, data_lines, error_body, parsed

BESIDE = ("systemInstruction", "safetySettings", "tools", "toolConfig")
"""Fields of the SDK's configuration that stand beside `generationConfig` on the wire."""

OURS = ("httpOptions", "automaticFunctionCalling")
"""Fields that say how to call, and not what."""

_COUNTS = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")


class Models:
    """`url` without a version."""

    def __init__(self, http: BoundedTransport, url: str, key: str) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/v1beta/models/"
        self._headers = {"x-goog-api-key": key, "content-type": "application/json"}

    async def generate_content_stream(
        self, *, model: str, contents: Sequence[Content | Mapping[str, Any]], config: GenerateContentConfig
    ) -> AsyncIterator[GenerateContentResponse]:
        """The call is made when the first chunk is asked for, as in the SDK. Raises APIError."""
        return self._chunks(model.removeprefix("models/"), _body(contents, config))

    async def _chunks(self, model: str, body: Mapping[str, Any]) -> AsyncIterator[GenerateContentResponse]:
        response = await self._asked(f"{model}:streamGenerateContent?alt=sse", body)
        try:
            tokens: Any = None
            async for data in data_lines(response):
                chunk = parsed(data)
                tokens = chunk.get("usageMetadata") or tokens
                yield _response(chunk, tokens)
        finally:
            await response.aclose()

    async def embed_content(
        self, *, model: str, contents: str | Sequence[Mapping[str, Any]], config: EmbedContentConfig
    ) -> SimpleNamespace:
        """Of one text, or of one for each of the contents. Raises APIError."""
        name = model.removeprefix("models/")
        told = config.model_dump(by_alias=True, exclude_none=True)
        given = [{"parts": [{"text": contents}]}] if isinstance(contents, str) else contents
        requests = [{"model": f"models/{name}", "content": content, **told} for content in given]
        response = await self._asked(f"{name}:batchEmbedContents", {"requests": requests})
        try:
            answer = parsed(await response.aread())
        finally:
            await response.aclose()
        return SimpleNamespace(embeddings=[SimpleNamespace(values=one["values"]) for one in answer["embeddings"]])

    async def _asked(self, what: str, body: Mapping[str, Any]) -> Any:
        """The answer with its bytes still to come."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        response = await self._http.post(self._url + what, self._headers, content)
        if response.status_code != 200:
            try:
                raise APIError(response.status_code, _details(await error_body(response)), response)
            finally:
                await response.aclose()
        return response


def _body(contents: Sequence[Content | Mapping[str, Any]], config: GenerateContentConfig) -> dict[str, Any]:
    told = config.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    beside = {name: told.pop(name) for name in BESIDE if name in told}
    for name in OURS:
        told.pop(name, None)
    sent = [
        content.model_dump(mode="json", by_alias=True, exclude_none=True) if isinstance(content, Content) else content
        for content in contents
    ]
    return {"contents": sent, **beside, "generationConfig": told}


def _response(chunk: dict[str, Any], tokens: Any) -> GenerateContentResponse:
    """What LangChain reads of a chunk of text, and no more: the SDK's class refuses fields that it does not know. The
    tokens so far, which stand in every chunk, are told in the last alone.
    """
    if error := chunk.get("error"):
        code = error.get("code") if isinstance(error, dict) else None
        raise APIError(code if isinstance(code, int) else 500, _details(chunk))
    known: dict[str, Any] = {"modelVersion": chunk.get("modelVersion")}
    candidates = [_candidate(candidate) for candidate in chunk.get("candidates", [])]
    known["candidates"] = candidates
    if tokens and not (candidates and candidates[0]["finishReason"] is None):
        known["usageMetadata"] = {name: tokens[name] for name in _COUNTS if name in tokens}
    if feedback := chunk.get("promptFeedback"):
        known["promptFeedback"] = {"blockReason": feedback.get("blockReason")}
    return GenerateContentResponse.model_validate(known)


def _candidate(candidate: Any) -> dict[str, Any]:
    if not isinstance(candidate, dict):
        raise Unreadable("a candidate is not an object")
    parts = (candidate.get("content") or {}).get("parts") or []
    told = [_part(part) for part in parts if "text" in part or "functionCall" in part]
    return {"content": {"role": "model", "parts": told}, "finishReason": candidate.get("finishReason")}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A text or a call of a tool. The signature of its thoughts has to be sent back with the call."""
    if "text" in part:
        return {"text": part["text"], "thought": part.get("thought")}
    call = part["functionCall"]
    known = {"functionCall": {name: call[name] for name in ("id", "name", "args") if name in call}}
    signature = part.get("thoughtSignature")
    return {**known, "thoughtSignature": _unpacked(signature)} if signature else known


def _unpacked(signature: str) -> bytes:
    return base64.b64decode(signature.replace("-", "+").replace("_", "/") + "==")


def _details(body: Any) -> dict[str, Any]:
    return body if isinstance(body, dict) else {"error": {"message": str(body)}}
