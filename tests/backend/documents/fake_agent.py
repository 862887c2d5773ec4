"""An agent in memory that speaks the contract over real HTTP, counts what it is asked, and fails when told to."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_service import contract

EMBEDDING = "fake:words:4"


@dataclass
class FakeAgent:
    """`vectors` by namespace; `embedded` counts how often each chunk was embedded; `faults` are answered first."""

    vectors: dict[str, dict[UUID, contract.StoredVector]] = field(default_factory=lambda: defaultdict(dict))
    embedded: Counter[UUID] = field(default_factory=Counter)
    headings: set[str] = field(default_factory=set)
    faults: list[Response | str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stubborn: int = 0  # so many deletions delete nothing
    forgetful: bool = False  # says that it stored one less
    most_at_once: int = 0
    _at_once: int = 0
    _lock: Lock = field(default_factory=Lock)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/models", self._models),
                Route("/embed_and_store", self._embed, methods=["POST"]),
                Route("/vectors/delete", self._delete, methods=["POST"]),
                Route("/vectors/list", self._list, methods=["POST"]),
            ]
        )

    def all_ids(self) -> set[UUID]:
        return {pk for stored in self.vectors.values() for pk in stored}

    def stored(self) -> list[contract.StoredVector]:
        return [vector for stored in self.vectors.values() for vector in list(stored.values())]

    async def _models(self, _request: Request) -> Response:
        offer = contract.ModelsResponse(models=[], embeddings=[contract.EmbeddingInfo(id=EMBEDDING, default=True)])
        return _answer(offer)

    async def _embed(self, request: Request) -> Response:
        async with self._counted(request, "embed"):
            wanted = contract.EmbedAndStoreRequest.model_validate_json(await request.body())
            if (fault := self._fault()) is not None and fault != "lost answer":
                return _refuse(fault)
            stored = self.vectors[_namespace(request)]
            new = [chunk.id for chunk in wanted.chunks if chunk.id not in stored or not stored[chunk.id].complete]
            self.headings.update(chunk.heading for chunk in wanted.chunks)
            await asyncio.sleep(self.seconds)
            with self._lock:
                self.embedded.update(new)
                for pk in new:
                    stored[pk] = contract.StoredVector(chunk=pk, document=wanted.document, version=wanted.version)
            if fault == "lost answer":
                return _refuse("cut")
            usage = contract.Usage(provider="fake", model="words", input_tokens=1, output_tokens=0)
            count = len(new) - self.forgetful
            return _answer(
                contract.EmbedAndStoreResponse(stored=count, present=len(wanted.chunks) - len(new), usage=usage)
            )

    async def _delete(self, request: Request) -> Response:
        async with self._counted(request, "delete"):
            if (fault := self._fault()) is not None:
                return _refuse(fault)
            which = contract.DeleteVectorsRequest.model_validate_json(await request.body())
            stored = self.vectors[_namespace(request)]
            doomed = [pk for pk, vector in stored.items() if _chosen(which, vector)]
            self.stubborn -= (stubborn := self.stubborn > 0)
            for pk in [] if stubborn else doomed:
                del stored[pk]
            remaining = sum(_chosen(which, vector) for vector in stored.values())
            return _answer(contract.DeleteVectorsResponse(deleted=len(doomed), remaining=remaining))

    async def _list(self, request: Request) -> Response:
        async with self._counted(request, "list"):
            if (fault := self._fault()) is not None:
                return _refuse(fault)
            wanted = contract.ListVectorsRequest.model_validate_json(await request.body())
            stored = self.vectors[_namespace(request)]
            ids = sorted(pk for pk in stored if wanted.after is None or pk > wanted.after)[: min(wanted.limit, 50)]
            following = ids[-1] if len(ids) == 50 else None
            return _answer(contract.ListVectorsResponse(vectors=[stored[pk] for pk in ids], next=following))

    def _fault(self) -> Response | str | None:
        with self._lock:
            return self.faults.pop(0) if self.faults else None

    @asynccontextmanager
    async def _counted(self, _request: Request, name: str) -> AsyncIterator[None]:
        self.requests[name] += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            self._at_once -= 1


def refusal(status: int, code: str, *, retryable: bool) -> Response:
    return _answer(contract.ErrorBody(code=code, message="The model vendor says no.", retryable=retryable), status)


def _answer(body: Any, status: int = 200) -> Response:
    return JSONResponse(body.model_dump(mode="json"), status_code=status)


def _refuse(fault: Response | str) -> Response:
    """`cut` and other words: an answer that is none."""
    return fault if isinstance(fault, Response) else Response(fault)


def _chosen(which: contract.DeleteVectorsRequest, vector: contract.StoredVector) -> bool:
    return (
        which.document in (None, vector.document)
        and which.version in (None, vector.version)
        and which.keep_version != vector.version
    )


def _namespace(request: Request) -> str:
    token = request.headers[contract.TOKEN_HEADER]
    claims = jwt.decode(
        token, settings.SERVICE_KEY, ["HS256"], audience=contract.TOKEN_AUDIENCE, issuer=contract.TOKEN_ISSUER
    )
    return contract.Claims.model_validate(claims).namespace or ""
