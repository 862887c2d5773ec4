"""An agent service that does as it is told, behind the real wire: what the backend makes of each ending can be seen."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_service.contract import TOKEN_HEADER

USAGE = {"provider": "local", "model": "local:extractive", "input_tokens": 40, "output_tokens": 8, "estimated": False}


@dataclass
class ScriptedAgent:
    """`steps` of the next chats: text to stream, a number of seconds to wait, or an event `(name, data)`."""

    hits: list[dict[str, Any]] = field(default_factory=list)
    confidence: float = 1.0
    steps: list[Any] = field(default_factory=list)
    refusal: tuple[int, dict[str, Any]] | None = None
    retrieval_refusal: tuple[int, dict[str, Any]] | None = None  # of all but a search by words alone
    cut: bool = False
    chats: list[dict[str, Any]] = field(default_factory=list)
    retrievals: list[dict[str, Any]] = field(default_factory=list)
    embeddings: list[dict[str, Any]] = field(default_factory=list)
    rewriting: dict[str, Any] | None = None  # usage of a model that rewrites questions
    sets: list[list[dict[str, Any]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)
    reranked: list[dict[str, Any]] = field(default_factory=list)
    rerank_refused: bool = False
    processed: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    open_streams: int = 0
    released: int = 0

    def answer(
        self,
        *pieces: Any,
        citations: list[dict[str, Any]] | None = None,
        finish: str = "stop",
        after: Sequence[Any] = (),
        usage: dict[str, Any] | None = None,
        **told: Any,
    ) -> None:
        """`told` goes into the citations event; `after` are steps between that and the usage."""
        cited = {"citations": citations or [], "rejected": 0, **told}
        ending = [("usage", USAGE | (usage or {})), ("done", {"finish_reason": finish})]
        self.steps = [*pieces, ("citations", cited), *after, *ending]

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/models", self._models),
                Route("/agents", self._agents),
                Route("/readyz", self._ready),
                Route("/retrieve", self._retrieve, methods=["POST"]),
                Route("/retrieve/across", self._retrieve_across, methods=["POST"]),
                Route("/rerank", self._rerank, methods=["POST"]),
                Route("/chat", self._chat, methods=["POST"]),
                WebSocketRoute("/agents/process", self._process),
                Route("/embed", self._embed, methods=["POST"]),
                Route("/providers", self._providers),
                Route("/count-tokens", self._count_tokens, methods=["POST"]),
                Route("/estimate-cost", self._estimate_cost, methods=["POST"]),
            ]
        )

    async def _models(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "models": [
                    {"id": "local:extractive", "name": "Quotes", "context_tokens": 8000, "default": True},
                    {
                        "id": "google:gemini-2.5-flash",
                        "name": "gemini-2.5-flash",
                        "context_tokens": 100000,
                        "default": False,
                        "input_price": "0.30",
                        "output_price": "2.50",
                        "priced_on": "2025-11-01",
                    },
                ],
                "embeddings": [{"id": "local:wordllama:256", "default": True}],
            }
        )

    async def _agents(self, _request: Request) -> Response:
        kinds = {"default": "rag", "passages": "passages", "researcher": "react"}
        told = {"title": "An agent", "description": "It answers.", "tools": ["knowledge_search", "calculator"]}
        return JSONResponse(
            {
                "agents": [
                    {"id": name, "kind": kind, "default": name == "default", **told} for name, kind in kinds.items()
                ]
            }
        )

    async def _ready(self, _request: Request) -> Response:
        return JSONResponse({"ready": True, "checks": {"store": "ok"}})

    async def _retrieve(self, request: Request) -> Response:
        self.retrievals.append(await request.json())
        if self.retrieval_refusal and not self.retrievals[-1].get("lexical_only"):
            status, body = self.retrieval_refusal
            return JSONResponse(body, status)
        limit = self.retrievals[-1]["limit"]
        found = {"hits": self.hits[:limit], "confidence": self.confidence, "usage": USAGE, "timings": {}}
        return JSONResponse(found | ({"rewriting": self.rewriting, "rewritten": "model"} if self.rewriting else {}))

    async def _retrieve_across(self, request: Request) -> Response:
        body = await request.json()
        self.sets.append(body["sets"])
        self.tokens.append(request.headers[TOKEN_HEADER])
        for told in body["sets"]:
            if told["names"] is None and told["sha256"] not in self.names:
                return JSONResponse(_error("unknown_namespaces"), 409)
            self.names[told["sha256"]] = told["names"] or self.names[told["sha256"]]
        return await self._retrieve(request)

    async def _rerank(self, request: Request) -> Response:
        """The other way round."""
        body = await request.json()
        self.reranked.append(body)
        if self.rerank_refused:
            return JSONResponse(_error("overloaded"), 503)
        ids = [passage["id"] for passage in reversed(body["passages"])]
        order = [{"id": one, "score": 1 - place / 10} for place, one in enumerate(ids)]
        usage = USAGE | {"provider": "google", "model": "gemini-2.5-flash"}
        return JSONResponse({"passages": order, "failed": False, "usage": usage, "timings": {}})

    async def _embed(self, request: Request) -> Response:
        self.embeddings.append(await request.json())
        if self.refusal:
            status, body = self.refusal
            return JSONResponse(body, status)
        vectors = [[1.0, 0.0]] * len(self.embeddings[-1]["texts"])
        return JSONResponse({"vectors": vectors, "usage": {**USAGE, "output_tokens": 0}})

    async def _providers(self, _request: Request) -> Response:
        local = {"id": "local", "name": "This machine", "local": True, "state": "ok", "models": [], "embeddings": []}
        return JSONResponse({"providers": [local]})

    async def _count_tokens(self, request: Request) -> Response:
        body = await request.json()
        return JSONResponse({"model": body["model"], "input_tokens": len(body["text"]), "estimated": True})

    async def _estimate_cost(self, request: Request) -> Response:
        costs = {"input_cost": "0.0003", "output_cost": "0.0025", "total": "0.0028"}
        body = await request.json()
        return JSONResponse({"model": body["model"], "currency": "USD", **costs, "priced_on": "2025-11-01"})

    async def _chat(self, request: Request) -> Response:
        self.chats.append(await request.json())
        if self.refusal:
            status, body = self.refusal
            return JSONResponse(body, status)
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _process(self, socket: WebSocket) -> None:
        """The steps as on `/chat`; one of `("tool_call", …)` is waited for until its result has come."""
        await socket.accept()
        self.processed.append(json.loads(await socket.receive_text()))
        self.open_streams += 1
        try:
            for step in self.steps:
                if isinstance(step, int | float):
                    await asyncio.sleep(step)
                    continue
                name, data = ("delta", {"text": step}) if isinstance(step, str) else step
                await socket.send_json({"event": name, "data": data})
                if name == "tool_call":
                    self.results.append(json.loads(await socket.receive_text())["data"])
            await socket.close()
        except WebSocketDisconnect:
            self.released += 1
        finally:
            self.open_streams -= 1

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


def _error(code: str) -> dict[str, Any]:
    return {"code": code, "message": "No.", "retryable": False, "details": {}, "request_id": "-"}


def _frame(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def hit(chunk: UUID, document: UUID, version: UUID, score: float = 0.9) -> dict[str, Any]:
    return {"chunk": str(chunk), "document": str(document), "version": str(version), "score": score}
