"""The public REST of the Gemini API as google-genai uses it, without Google.

Answers come from `reading.answer`, vectors from `embedding.embed`. A missing or a wrong key is refused as Google
does.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.emulators.acting import Call, Scene
from tests.emulators.embedding import embed
from tests.emulators.emulator import Emulator, Handler, Request, VendorError
from tests.emulators.speaking import Said, play, spoilt, spoken, tokens_of

CHAT_MODELS = ("gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-3.8-flash")
EMBEDDING_MODELS = ("gemini-embedding-001",)
FULL_DIMENSION = 3072
MAX_BATCH = 100

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
WRONG_KEY = "The API key is not valid."
FAILURE = "scripted failure"
REASONS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "safety": "SAFETY",
    "odd": "MALFORMED_FUNCTION_CALL",
    "tools": "STOP",
}

_METHOD = re.compile(r"^/v1(?:beta)?/models/(?P<model>[^/:]+):(?P<method>[A-Za-z]+)$")
_MODEL = re.compile(r"^/v1(?:beta)?/models(?:/(?P<model>[^/:]+))?$")


class GeminiEmulator(Emulator):
    key_header = "x-goog-api-key"

    def match(self, method: str, path: str) -> tuple[str, Handler, Mapping[str, str]] | None:
        called = _METHOD.match(path)
        if called and method == "POST" and called["method"] in self._methods:
            return called["method"], self._methods[called["method"]], {"model": called["model"]}
        listed = _MODEL.match(path)
        if listed and method == "GET":
            return "models", self._models, {"model": listed["model"] or ""}
        return None

    @property
    def _methods(self) -> dict[str, Handler]:
        return {
            "generateContent": self._generate,
            "streamGenerateContent": self._stream,
            "batchEmbedContents": self._batch_embed,
            "embedContent": self._embed,
            "countTokens": self._count_tokens,
        }

    def error(self, status: int, message: str, retry_after: float | None = None) -> Any:
        details: list[dict[str, Any]] = []
        if retry_after is not None:
            details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after:g}s"})
        if message == WRONG_KEY:
            details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"})
        return {"error": {"code": status, "message": message, "status": STATUS_NAMES[status], "details": details}}

    def refuse_key(self, key: str | None) -> VendorError | None:
        if not key:
            return VendorError(403, "The caller has no identity: an API key is needed.")
        if self.api_key is not None and key != self.api_key:
            return VendorError(400, WRONG_KEY)
        return None

    async def _models(self, request: Request) -> None:
        name = request.values["model"]
        if not name:
            await request.exchange.json(200, {"models": [_model(known) for known in (*CHAT_MODELS, *EMBEDDING_MODELS)]})
            return
        _known(name, (*CHAT_MODELS, *EMBEDDING_MODELS))
        await request.exchange.json(200, _model(name))

    async def _count_tokens(self, request: Request) -> None:
        inner = request.data.get("generateContentRequest", request.data)
        tokens = tokens_of(_prompt(inner))
        await request.exchange.json(
            200, {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}
        )

    async def _embed(self, request: Request) -> None:
        vectors = self._vectors(request, [request.data])
        await request.exchange.json(200, {"embedding": vectors[0] if vectors else {}})

    async def _batch_embed(self, request: Request) -> None:
        items = request.data.get("requests")
        if not isinstance(items, list) or not items:
            raise VendorError(400, "requests must not be empty")
        if len(items) > MAX_BATCH:
            raise VendorError(400, f"at most {MAX_BATCH} requests in a batch, got {len(items)}")
        await request.exchange.json(200, {"embeddings": self._vectors(request, items)})

    def _vectors(self, request: Request, items: list[dict[str, Any]]) -> list[dict[str, list[float]]]:
        _known(request.values["model"], EMBEDDING_MODELS)
        vectors = [embed(_text(item.get("content", {})), _dimension(item)).tolist() for item in items]
        bent = spoilt(vectors, request.fault.kind if request.fault else None)
        return [{} if vector is None else {"values": vector} for vector in bent]

    async def _generate(self, request: Request) -> None:
        chunks = list(self._chunks(request))
        merged: dict[str, Any] = chunks[-1]
        text = "".join(_chunk_text(chunk) for chunk in chunks)
        if merged.get("candidates"):
            merged["candidates"][0]["content"] = {"parts": [{"text": text}], "role": "model"}
        await request.exchange.json(200, merged)

    async def _stream(self, request: Request) -> None:
        chunks = (_event(chunk) for chunk in self._chunks(request))
        await play(request, chunks, failure=lambda status: _event(self.error(status, FAILURE)), text_key=b'"text": ')

    def _chunks(self, request: Request) -> Iterator[dict[str, Any]]:
        model = request.values["model"]
        _known(model, CHAT_MODELS)
        if not request.data.get("contents"):
            raise VendorError(400, "contents must not be empty")
        kind = request.fault.kind if request.fault else ""
        return _answer_chunks(request.data, model, kind, f"emu-{request.call.number}")


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\r\n\r\n"


def _answer_chunks(body: dict[str, Any], model: str, kind: str, response_id: str) -> Iterator[dict[str, Any]]:
    """As in a real stream: text in the first chunks, a finish reason in the last, running totals of usage in each."""
    read = tokens_of(_prompt(body))
    if kind == "blocked":
        yield {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": _usage(read, 0),
            "modelVersion": model,
        }
        return
    limit = body.get("generationConfig", {}).get("maxOutputTokens")
    system = _text(body.get("systemInstruction", {}))
    for said in spoken(_prompt(body), system, limit, kind, images=_images(body), scene=_scene(body)):
        yield _chunk(model, response_id, said)


def _chunk(model: str, response_id: str, said: Said) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": said.text}], "role": "model"}, "index": 0}
    candidate["content"]["parts"] += [
        {
            "functionCall": {"name": call.name, "args": call.arguments},
            "thoughtSignature": base64.b64encode(b"thoughts of " + call.name.encode()).decode(),
        }
        for call in said.calls
    ]
    if said.reason:
        candidate["finishReason"] = REASONS[said.reason]
    chunk: dict[str, Any] = {"candidates": [candidate]}
    if said.tokens is not None:
        chunk["usageMetadata"] = _usage(said.tokens.read, said.tokens.written)
    return {**chunk, "modelVersion": model, "responseId": response_id}


def _scene(body: dict[str, Any]) -> Scene | None:
    """A call has to come back with the signature of the thoughts that led to it."""
    declared = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations", ())]
    if not declared:
        return None
    mode = ((body.get("toolConfig") or {}).get("functionCallingConfig") or {}).get("mode")
    scene = Scene("", [one["name"] for one in declared], may_call=mode != "NONE")
    for content in body["contents"]:
        for part in content.get("parts", ()):
            if call := part.get("functionCall"):
                signature = base64.urlsafe_b64decode(part.get("thoughtSignature") or "")
                if signature != b"thoughts of " + call["name"].encode():
                    raise VendorError(400, "Function call is missing a thought_signature")
                scene.made.append(Call(call["name"], call.get("args") or {}))
            elif answered := part.get("functionResponse"):
                scene.results.append(str(answered["response"].get("output", answered["response"])))
            elif content.get("role", "user") == "user" and not scene.made and "text" in part:
                scene.question = part["text"]
    return scene


def _usage(read: int, written: int) -> dict[str, Any]:
    return {
        "promptTokenCount": read,
        "candidatesTokenCount": written,
        "totalTokenCount": read + written,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read}],
    }


def _chunk_text(chunk: dict[str, Any]) -> str:
    return "".join(
        part.get("text", "") for candidate in chunk.get("candidates", []) for part in candidate["content"]["parts"]
    )


def _prompt(body: dict[str, Any]) -> str:
    contents = [_text(content) for content in body.get("contents", []) if content.get("role", "user") == "user"]
    return contents[-1] if contents else ""


def _text(content: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", []))


def _images(body: dict[str, Any]) -> int:
    """Inline images of the question."""
    contents = body.get("contents", [])
    return sum("inlineData" in part for part in contents[-1].get("parts", [])) if contents else 0


def _dimension(item: dict[str, Any]) -> int:
    wanted = int(item.get("outputDimensionality") or FULL_DIMENSION)
    if not 1 <= wanted <= FULL_DIMENSION:
        raise VendorError(400, f"outputDimensionality must be between 1 and {FULL_DIMENSION}")
    return wanted


def _known(model: str, models: tuple[str, ...]) -> None:
    if model not in models:
        raise VendorError(404, f"models/{model} is not found")


def _model(name: str) -> dict[str, Any]:
    chats = name in CHAT_MODELS
    methods = ["generateContent", "countTokens"] if chats else ["embedContent", "batchEmbedContents"]
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576 if chats else 2048,
        "outputTokenLimit": 65_536 if chats else 1,
        "supportedGenerationMethods": methods,
    }
