"""OpenAI's chat completions, embeddings and models, as its SDK and the servers that speak its protocol (Ollama, vLLM,
LM Studio) have them, without any of them.

Without a key of its own it is such a local server: whoever asks is answered, and `stream_options` may be unknown.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tests.emulators.acting import Call, Scene
from tests.emulators.embedding import embed
from tests.emulators.emulator import Emulator, Handler, Request, VendorError
from tests.emulators.speaking import Said, Tokens, play, spoilt, spoken, tokens_of

CHAT_MODELS = ("gpt-5-mini", "gpt-4.1-mini", "llama3.2")
EMBEDDING_MODELS = {"text-embedding-3-small": 1536, "nomic-embed-text": 768}
MAX_BATCH = 2048
CREATED = 1_700_000_000

TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", None),
}
BLOCKED = "The prompt was blocked by the content policy."
FAILURE = "scripted failure"
REASONS = {
    "stop": "stop",
    "length": "length",
    "safety": "content_filter",
    "odd": "function_call",
    "tools": "tool_calls",
}


class OpenAIEmulator(Emulator):
    key_header = "authorization"

    def match(self, method: str, path: str) -> tuple[str, Handler, Mapping[str, str]] | None:
        known: dict[tuple[str, str], tuple[str, Handler]] = {
            ("POST", "/v1/chat/completions"): ("chat", self._chat),
            ("POST", "/v1/embeddings"): ("embeddings", self._embed),
            ("GET", "/v1/models"): ("models", self._models),
        }
        found = known.get((method, path))
        return (*found, {}) if found else None

    def error(self, status: int, message: str, retry_after: float | None = None) -> Any:
        kind, code = TYPES[status]
        if message == BLOCKED:
            code = "content_policy_violation"
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def refuse_key(self, key: str | None) -> VendorError | None:
        if self.api_key is None or key == f"Bearer {self.api_key}":
            return None
        return VendorError(401, "Incorrect API key provided." if key else "You didn't provide an API key.")

    async def _models(self, request: Request) -> None:
        names = (*CHAT_MODELS, *EMBEDDING_MODELS)
        models = [{"id": name, "object": "model", "created": CREATED, "owned_by": "emulator"} for name in names]
        await request.exchange.json(200, {"object": "list", "data": models})

    async def _embed(self, request: Request) -> None:
        data = request.data
        model = data.get("model", "")
        if model not in EMBEDDING_MODELS:
            raise VendorError(404, f"The model `{model}` does not exist or you do not have access to it.")
        texts = [data["input"]] if isinstance(data.get("input"), str) else data.get("input")
        if not texts or not all(isinstance(text, str) and text for text in texts) or len(texts) > MAX_BATCH:
            raise VendorError(400, "'$.input' is invalid.")
        dimension = int(data.get("dimensions") or EMBEDDING_MODELS[model])
        vectors = [embed(text, dimension).tolist() for text in texts]
        kind = request.fault.kind if request.fault else None
        answer: dict[str, Any] = {"object": "list", "model": model, "data": _listed(vectors, kind, data)}
        if kind != "nouse":
            read = sum(map(tokens_of, texts))
            answer["usage"] = {"prompt_tokens": -read if kind == "neguse" else read, "total_tokens": read}
        await request.exchange.json(200, answer)

    async def _chat(self, request: Request) -> None:
        data = request.data
        model = data.get("model", "")
        if model not in CHAT_MODELS:
            raise VendorError(404, f"The model `{model}` does not exist or you do not have access to it.")
        if not data.get("messages"):
            raise VendorError(400, "Invalid 'messages': empty array.")
        kind = request.fault.kind if request.fault else ""
        if kind == "blocked":
            raise VendorError(400, BLOCKED)
        limit = data.get("max_completion_tokens", data.get("max_tokens"))
        question, system = _question(data["messages"]), _system(data["messages"])
        steps = spoken(question, system, limit, kind, images=_images(data["messages"]), scene=_scene(data))
        head = {"id": f"chatcmpl-{request.call.number}", "created": CREATED, "model": model}
        if not data.get("stream"):
            await request.exchange.json(200, _whole(head, list(steps)))
            return
        await play(request, _events(head, steps, data), failure=self._failure, text_key=b'"content": ')

    def _failure(self, status: int) -> bytes:
        return _event(self.error(status, FAILURE))


def _events(head: dict[str, Any], steps: Iterator[Said], data: dict[str, Any]) -> Iterator[bytes]:
    """The role first, then texts, then the reason, then the usage where it was asked for."""
    asked = (data.get("stream_options") or {}).get("include_usage", False)
    empty: dict[str, Any] = {"usage": None} if asked else {}
    chunk = {**head, "object": "chat.completion.chunk", "service_tier": "default", "system_fingerprint": "fp_emulated"}
    tokens: Tokens | None = None
    yield _event({**chunk, "choices": [_choice({"role": "assistant", "content": "", "refusal": None})], **empty})
    for said in steps:
        tokens = said.tokens
        reason = REASONS[said.reason] if said.reason else None
        if said.calls:
            yield _event({**chunk, "choices": [_choice({"tool_calls": _calls(said)})], **empty})
        delta = {} if said.last else {"content": said.text}
        yield _event({**chunk, "choices": [_choice(delta, reason)], **empty})
    if asked and tokens is not None:
        yield _event({**chunk, "choices": [], "usage": _usage(tokens)})
    yield b"data: [DONE]\n\n"


def _calls(said: Said) -> list[dict[str, Any]]:
    return [
        {
            "index": place,
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for place, call in enumerate(said.calls)
    ]


def _scene(data: dict[str, Any]) -> Scene | None:
    if not data.get("tools"):
        return None
    scene = Scene("", [tool["function"]["name"] for tool in data["tools"]], may_call=data.get("tool_choice") != "none")
    for message in data["messages"]:
        for call in message.get("tool_calls") or ():
            scene.made.append(Call(call["function"]["name"], json.loads(call["function"]["arguments"])))
        if message["role"] == "tool":
            scene.results.append(_text(message))
        elif message["role"] == "user" and not scene.made:
            scene.question = _text(message)
    return scene


def _choice(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _whole(head: dict[str, Any], steps: list[Said]) -> dict[str, Any]:
    last = steps[-1]
    message = {"role": "assistant", "content": "".join(said.text for said in steps), "refusal": None}
    reason = REASONS[last.reason] if last.reason else None
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    told = {"usage": _usage(last.tokens)} if last.tokens else {}
    return {**head, "object": "chat.completion", "choices": [choice], **told}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.read,
        "completion_tokens": tokens.written,
        "total_tokens": tokens.read + tokens.written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _listed(vectors: list[list[float]], kind: str | None, data: dict[str, Any]) -> list[dict[str, Any]]:
    packed = data.get("encoding_format") == "base64"
    items = []
    for place, vector in enumerate(spoilt(vectors, kind)):
        item: dict[str, Any] = {"object": "embedding", "index": place}
        if vector is not None:
            item["embedding"] = _packed(vector) if packed else vector
        items.append(item)
    return items


def _packed(vector: list[float]) -> str:
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def _question(messages: list[dict[str, Any]]) -> str:
    asked = [_text(message) for message in messages if message.get("role") == "user"]
    return asked[-1] if asked else ""


def _system(messages: list[dict[str, Any]]) -> str:
    return "".join(_text(message) for message in messages if message.get("role") in ("system", "developer"))


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _images(messages: list[dict[str, Any]]) -> int:
    content = messages[-1].get("content")
    return sum(part.get("type") == "image_url" for part in content) if isinstance(content, list) else 0
