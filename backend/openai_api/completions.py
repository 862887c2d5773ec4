"""An answer in the words of OpenAI's API: whole, or in chunks. Nothing here reads the database."""

import json
import time
from collections.abc import Container, Mapping
from typing import Any

DONE = b"data: [DONE]\n\n"
_FINISH = {"length": "length", "safety": "content_filter"}
_SAID_ELSEWHERE = ("text", "citations")


def completion(shown: Mapping[str, Any], *, model: str, created: int) -> dict[str, Any]:
    """`shown` is the answer as the native API gives it."""
    message = {"role": "assistant", "content": shown["text"], "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(shown)}
    head = _head(shown["id"], "chat.completion", model, created)
    return {**head, "choices": [choice], "usage": usage(shown), **_extensions(shown)}


def usage(shown: Mapping[str, Any]) -> dict[str, int]:
    read, written = shown["usage"]["input_tokens"] or 0, shown["usage"]["output_tokens"] or 0
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


class Chunks:
    """The chunks of one answer, each a frame of the stream."""

    def __init__(self, answer_id: Any, *, model: str, include_usage: bool) -> None:
        self._head = _head(answer_id, "chat.completion.chunk", model, int(time.time()))
        self._include_usage = include_usage

    def first(self) -> bytes:
        return self._frame({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> bytes:
        return self._frame({"content": text})

    def last(self, shown: Mapping[str, Any]) -> bytes:
        """Everything that follows the text, up to the end's mark; with the whole text, as it is stored: what was
        streamed may have had a marker that nothing stands behind."""
        extensions = _extensions(shown, kept=("text",))
        frames = self._frame({}, finish_reason=_finish_reason(shown), **extensions)
        if self._include_usage:
            frames += _frame({**self._head, "choices": [], "usage": usage(shown)})
        return frames + DONE

    def _frame(self, delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._include_usage else {}
        return _frame({**self._head, "choices": [choice], **usage, **more})


def error_frame(error: Mapping[str, Any]) -> bytes:
    """Ends a stream that cannot go on; no end's mark follows it."""
    return _frame(error)


def _head(answer_id: Any, kind: str, model: str, created: int) -> dict[str, Any]:
    return {"id": f"chatcmpl-{answer_id}", "object": kind, "created": created, "model": model}


def _finish_reason(shown: Mapping[str, Any]) -> str:
    return _FINISH.get(shown["finish_reason"], "stop")


def _extensions(shown: Mapping[str, Any], kept: Container[str] = ()) -> dict[str, Any]:
    """`citations`, and the rest of what the native API says of the answer: its id, what it cost, what supports it."""
    rest = {name: value for name, value in shown.items() if name in kept or name not in _SAID_ELSEWHERE}
    return {"citations": shown["citations"], "chatsphere": rest}


def _frame(data: Mapping[str, Any]) -> bytes:
    """One line of JSON: whatever a text holds, it cannot end the line and begin an event of its own."""
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
