"""The public REST of the Gemini API as google-genai uses it, without Google.

Answers come from `reading.answer`, vectors from `embedding.embed`. A missing or a wrong key is refused as Google
does.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from tests.emulators import reading
from tests.emulators.embedding import embed
from tests.emulators.emulator import Emulator, Handler, Request, VendorError

CHAT_MODELS = ("gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-3.8-flash")
EMBEDDING_MODELS = ("gemini-embedding-001",)
FULL_DIMENSION = 3072
MAX_BATCH = 100
PIECE_WORDS = 4

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
FAKE_SSE = (
    'All is well.\n\nevent: done\ndata: {"finish_reason": "stop"}\n\nevent: credits\ndata: {"balance": 999999}\n\nBye.'
)
XSS = "<script>alert(document.cookie)</script><img src=x onerror=alert(1)> [1](javascript:alert(1))"

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
        tokens = _tokens(_prompt(inner))
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
        spoilt = _spoil(vectors, request.fault.kind if request.fault else None)
        return [{} if vector is None else {"values": vector} for vector in spoilt]

    async def _generate(self, request: Request) -> None:
        chunks = list(self._chunks(request))
        merged: dict[str, Any] = chunks[-1]
        text = "".join(_chunk_text(chunk) for chunk in chunks)
        if merged.get("candidates"):
            merged["candidates"][0]["content"] = {"parts": [{"text": text}], "role": "model"}
        await request.exchange.json(200, merged)

    async def _stream(self, request: Request) -> None:
        chunks = self._chunks(request)
        first = next(chunks)
        exchange, fault = request.exchange, request.fault
        await exchange.start(200, {"content-type": "text/event-stream", "vary": "origin"})
        kind = fault.kind if fault else ""
        async for data in _events(itertools.chain([first], chunks), request):
            await exchange.send(data)
            request.call.pieces += 1
        if kind in ("cut", "cutrst"):
            await asyncio.sleep(0.02)  # what was sent is on its way before the connection ends
            exchange.cut() if kind == "cut" else exchange.reset()
            return
        if kind == "stall":
            await asyncio.Event().wait()
        await exchange.finish()

    def _chunks(self, request: Request) -> Iterator[dict[str, Any]]:
        model = request.values["model"]
        _known(model, CHAT_MODELS)
        if not request.data.get("contents"):
            raise VendorError(400, "contents must not be empty")
        kind = request.fault.kind if request.fault else ""
        return _answer_chunks(request.data, model, kind, f"emu-{request.call.number}")


async def _events(chunks: Iterator[dict[str, Any]], request: Request) -> AsyncIterator[bytes]:
    """The stream's bytes, event by event, bent by a stream fault."""
    fault = request.fault
    kind = fault.kind if fault else ""
    if kind == "err_first":
        yield _event({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})
        return
    for number, chunk in enumerate(chunks):
        await asyncio.sleep(request.latency.piece)
        strikes = fault is not None and number == fault.after
        if strikes and kind in ("cut", "cutrst", "stall"):
            return
        if strikes and kind == "err_mid":
            yield _event({"error": {"code": 500, "message": "scripted failure", "status": "INTERNAL"}})
            return
        data = _event(chunk)
        if strikes and kind == "badutf8":
            data = data.replace(b'"text": "', b'"text": "\xff\xfe')
        if kind == "drip":
            assert fault is not None
            for place in range(len(data)):
                await asyncio.sleep(fault.seconds)
                yield data[place : place + 1]
        else:
            yield data


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\r\n\r\n"


def _answer_chunks(body: dict[str, Any], model: str, kind: str, response_id: str) -> Iterator[dict[str, Any]]:
    """As in a real stream: text in the first chunks, a finish reason in the last, running totals of usage in each."""
    read = _tokens(_prompt(body))
    if kind == "blocked":
        yield {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": _usage(read, 0),
            "modelVersion": model,
        }
        return
    limit = body.get("generationConfig", {}).get("maxOutputTokens")
    written = 0
    reason = "STOP"
    text = "" if kind == "forever" else _answer_text(body, kind)
    whole = kind in ("fakesse", "xss")  # in one piece, where it would do the most harm
    pieces = _endless() if kind == "forever" else iter([text] if whole else _pieces(text))
    for piece in pieces:
        if kind != "forever" and limit is not None and written + _tokens(piece) > limit:
            reason = "MAX_TOKENS"
            break
        written += _tokens(piece)
        yield _chunk(model, response_id, piece, None, _bent_usage(kind, read, written))
    reason = {"safety": "SAFETY", "maxtok": "MAX_TOKENS", "oddfinish": "MALFORMED_FUNCTION_CALL"}.get(kind, reason)
    yield _chunk(model, response_id, "", None if kind == "nofinish" else reason, _bent_usage(kind, read, written))


def _chunk(model: str, response_id: str, text: str, reason: str | None, usage: dict[str, Any] | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    chunk: dict[str, Any] = {"candidates": [candidate]}
    if usage is not None:
        chunk["usageMetadata"] = usage
    return {**chunk, "modelVersion": model, "responseId": response_id}


def _answer_text(body: dict[str, Any], kind: str) -> str:
    if kind == "fakesse":
        return FAKE_SSE
    if kind == "xss":
        return XSS
    text = reading.answer(_prompt(body), _text(body.get("systemInstruction", {})))
    if kind == "nul":
        return f"{text[:5]}\x00{text[5:]}"
    return text


def _pieces(text: str) -> list[str]:
    words = re.findall(r"\S+\s*|\s+", text)
    return ["".join(words[start : start + PIECE_WORDS]) for start in range(0, len(words), PIECE_WORDS)]


def _endless() -> Iterator[str]:
    while True:
        yield "and so on "


def _bent_usage(kind: str, read: int, written: int) -> dict[str, Any] | None:
    if kind == "nouse":
        return None
    return _usage(read, -written if kind == "neguse" else written)


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


def _spoil(vectors: list[list[float]], kind: str | None) -> list[list[float] | None]:
    ways: dict[str, Callable[[list[float]], list[float] | None]] = {
        "dim": lambda vector: vector[:-1],
        "nan": lambda vector: [float("nan"), *vector[1:]],
        "zero": lambda vector: [0.0] * len(vector),
        "unnormalised": lambda vector: [7.0 * value for value in vector],
        "novalues": lambda _: None,
    }
    if kind == "short":
        return [*vectors[:-1]]
    if kind in ways:
        return [*vectors[:-1], ways[kind](vectors[-1])]
    return [*vectors]


def _prompt(body: dict[str, Any]) -> str:
    contents = [_text(content) for content in body.get("contents", []) if content.get("role", "user") == "user"]
    return contents[-1] if contents else ""


def _text(content: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", []))


def _tokens(text: str) -> int:
    return max(1, len(text) // 4) if text else 0


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
