"""Anthropic's messages, token counts and models, as its SDK has them, without Anthropic."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.emulators.acting import Call, Scene
from tests.emulators.emulator import Emulator, Handler, Request, VendorError
from tests.emulators.speaking import Said, play, spoken, tokens_of

CHAT_MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5")
FAILURE = "scripted failure"
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
}
REASONS = {"stop": "end_turn", "length": "max_tokens", "safety": "refusal", "odd": "pause_turn", "tools": "tool_use"}


class AnthropicEmulator(Emulator):
    key_header = "x-api-key"

    def match(self, method: str, path: str) -> tuple[str, Handler, Mapping[str, str]] | None:
        known: dict[tuple[str, str], tuple[str, Handler]] = {
            ("POST", "/v1/messages"): ("messages", self._messages),
            ("POST", "/v1/messages/count_tokens"): ("count_tokens", self._count_tokens),
            ("GET", "/v1/models"): ("models", self._models),
        }
        found = known.get((method, path))
        return (*found, {}) if found else None

    def error(self, status: int, message: str, retry_after: float | None = None) -> Any:
        return {"type": "error", "error": {"type": TYPES[status], "message": message}, "request_id": "req_emulated"}

    def key_in(self, headers: Mapping[str, str]) -> str | None:
        """Sent under a header of its own, or as a bearer as its SDK does since version 2."""
        return headers.get(self.key_header) or headers.get("authorization", "").removeprefix("Bearer ") or None

    def refuse_key(self, key: str | None) -> VendorError | None:
        if not key:
            return VendorError(401, "x-api-key header is required")
        if self.api_key is not None and key != self.api_key:
            return VendorError(401, "invalid x-api-key")
        return None

    async def _models(self, request: Request) -> None:
        models = [{"type": "model", "id": name, "display_name": name} for name in CHAT_MODELS]
        await request.exchange.json(200, {"data": models, "has_more": False})

    async def _count_tokens(self, request: Request) -> None:
        _checked(request)
        data = request.data
        read = tokens_of(_system(data)) + sum(tokens_of(_text(message["content"])) for message in data["messages"])
        await request.exchange.json(200, {"input_tokens": read})

    async def _messages(self, request: Request) -> None:
        _checked(request)
        data = request.data
        if not isinstance(data.get("max_tokens"), int):
            raise VendorError(400, "max_tokens: Field required")
        kind = request.fault.kind if request.fault else ""
        question = _text(data["messages"][-1]["content"])
        images = _images(data["messages"][-1]["content"])
        # This vendor has no other way to block a prompt than to refuse the answer.
        steps = spoken(
            question,
            _system(data),
            data["max_tokens"],
            "safety" if kind == "blocked" else kind,
            images=images,
            scene=_scene(data),
        )
        head = {"id": f"msg_{request.call.number}", "type": "message", "role": "assistant", "model": data["model"]}
        if not data.get("stream"):
            await request.exchange.json(200, _whole(head, list(steps)))
            return
        await play(request, _events(head, steps, tokens_of(question)), failure=self._failure, text_key=b'"text": ')

    def _failure(self, status: int) -> bytes:
        return _event(self.error(status, FAILURE))


def _checked(request: Request) -> None:
    if request.data.get("model") not in CHAT_MODELS:
        raise VendorError(404, f"model: {request.data.get('model')}")
    if not request.data.get("messages"):
        raise VendorError(400, "messages: at least one message is required")
    if not request.call.headers.get("anthropic-version"):
        raise VendorError(400, "anthropic-version: header is required")


def _events(head: dict[str, Any], steps: Iterator[Said], read: int) -> Iterator[bytes]:
    started = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    first = next(steps)
    usage = {"input_tokens": read if first.tokens else 0, "output_tokens": 1 if first.tokens else 0}
    yield _event({"type": "message_start", "message": {**started, "usage": usage}})
    yield _event(block) + _event({"type": "ping"})
    said = first
    while not said.last:
        delta = {"type": "text_delta", "text": said.text}
        yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
        said = next(steps)
    yield _event({"type": "content_block_stop", "index": 0})
    for place, call in enumerate(said.calls, start=1):
        asked = {"type": "tool_use", "id": f"toolu_{place}", "name": call.name, "input": {}}
        yield _event({"type": "content_block_start", "index": place, "content_block": asked})
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
        yield _event({"type": "content_block_delta", "index": place, "delta": delta})
        yield _event({"type": "content_block_stop", "index": place})
    reason = {"stop_reason": REASONS[said.reason] if said.reason else None, "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": reason, "usage": _usage(said)})
    yield _event({"type": "message_stop"})


def _whole(head: dict[str, Any], steps: list[Said]) -> dict[str, Any]:
    last = steps[-1]
    content = [{"type": "text", "text": "".join(said.text for said in steps)}]
    reason = REASONS[last.reason] if last.reason else None
    return {**head, "content": content, "stop_reason": reason, "stop_sequence": None, "usage": _usage(last)}


def _scene(data: dict[str, Any]) -> Scene | None:
    blocks: list[tuple[str, dict[str, Any]]] = [
        (message["role"], block)
        for message in data["messages"]
        for block in (
            [{"type": "text", "text": message["content"]}]
            if isinstance(message["content"], str)
            else message["content"]
        )
    ]
    if not data.get("tools"):
        if any(block["type"] in ("tool_use", "tool_result") for _, block in blocks):
            raise VendorError(400, "Requests which include `tool_use` or `tool_result` blocks must define tools")
        return None
    may_call = (data.get("tool_choice") or {}).get("type") != "none"
    scene = Scene("", [tool["name"] for tool in data["tools"]], may_call=may_call)
    for role, block in blocks:
        if block["type"] == "tool_use":
            scene.made.append(Call(block["name"], block["input"]))
        elif block["type"] == "tool_result":
            scene.results.append(_text(block.get("content") or ""))
        elif block["type"] == "text" and role == "user" and not scene.made:
            scene.question = block["text"]
    return scene


def _usage(said: Said) -> dict[str, int]:
    tokens = said.tokens
    return {"input_tokens": tokens.read if tokens else 0, "output_tokens": tokens.written if tokens else 0}


def _event(data: dict[str, Any]) -> bytes:
    body = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return b"event: " + str(data["type"]).encode() + b"\ndata: " + body + b"\n\n"


def _system(data: dict[str, Any]) -> str:
    return _text(data.get("system") or "")


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _images(content: str | list[dict[str, Any]]) -> int:
    return 0 if isinstance(content, str) else sum(part.get("type") == "image" for part in content)
