"""An agent service that does as it is told, behind the real wire: what the backend makes of each ending can be seen."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

USAGE = {"provider": "local", "model": "local:extractive", "input_tokens": 40, "output_tokens": 8, "estimated": False}


@dataclass
class ScriptedAgent:
    """`steps` of the next chats: text to stream, a number of seconds to wait, or an event `(name, data)`."""

    hits: list[dict[str, Any]] = field(default_factory=list)
    confidence: float = 1.0
    steps: list[Any] = field(default_factory=list)
    refusal: tuple[int, dict[str, Any]] | None = None
    cut: bool = False
    chats: list[dict[str, Any]] = field(default_factory=list)
    retrievals: list[dict[str, Any]] = field(default_factory=list)
    open_streams: int = 0
    released: int = 0

    def answer(self, *pieces: str | float, citations: list[dict[str, Any]] | None = None, finish: str = "stop") -> None:
        cited = {"citations": citations or [], "rejected": 0}
        self.steps = [*pieces, ("citations", cited), ("usage", USAGE), ("done", {"finish_reason": finish})]

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/models", self._models),
                Route("/readyz", self._ready),
                Route("/retrieve", self._retrieve, methods=["POST"]),
                Route("/chat", self._chat, methods=["POST"]),
            ]
        )

    async def _models(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "models": [
                    {"id": "local:extractive", "name": "Quotes", "context_tokens": 8000, "default": True},
                    {"id": "google:gemini-2.5-flash", "name": "Gemini", "context_tokens": 100000, "default": False},
                ],
                "embeddings": [{"id": "local:wordllama:256", "default": True}],
            }
        )

    async def _ready(self, _request: Request) -> Response:
        return JSONResponse({"ready": True, "checks": {"store": "ok"}})

    async def _retrieve(self, request: Request) -> Response:
        self.retrievals.append(await request.json())
        return JSONResponse({"hits": self.hits, "confidence": self.confidence, "usage": USAGE, "timings": {}})

    async def _chat(self, request: Request) -> Response:
        self.chats.append(await request.json())
        if self.refusal:
            status, body = self.refusal
            return JSONResponse(body, status)
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        self.open_streams += 1
        try:
            for step in list(self.steps):
                if isinstance(step, (int, float)):
                    await asyncio.sleep(step)
                elif isinstance(step, str):
                    yield _frame("delta", {"text": step})
                else:
                    yield _frame(*step)
        finally:
            self.open_streams -= 1
            self.released += 1


def _frame(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def hit(chunk: UUID, document: UUID, version: UUID, score: float = 0.9) -> dict[str, Any]:
    return {"chunk": str(chunk), "document": str(document), "version": str(version), "score": score}
