"""An agent in memory that speaks the contract over real HTTP, counts what it is asked, and fails when told to."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from django.db import connection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_service import contract

EMBEDDING, OTHER_EMBEDDING = "fake:words:4", "fake:words:8"


@dataclass
class FakeAgent:
    """`vectors` by namespace; `embedded` counts how often each chunk was embedded; `faults` are answered first."""

    vectors: dict[str, dict[UUID, contract.StoredVector]] = field(default_factory=lambda: defaultdict(dict))
    embedded: Counter[UUID] = field(default_factory=Counter)
    embeddings: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # used in each namespace
    headings: set[str] = field(default_factory=set)
    faults: list[Response | str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    before_embedding: Callable[[], object] = lambda: None  # once, in the middle of a request
    before_listing: Callable[[], object] = lambda: None
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
                Route("/agents", self._agents),
                Route("/embed_and_store", self._embed, methods=["POST"]),
                Route("/vectors/delete", self._delete, methods=["POST"]),
                Route("/vectors/list", self._list, methods=["POST"]),
                Route("/vectors/namespaces", self._namespaces, methods=["POST"]),
            ]
        )

    def all_ids(self) -> set[UUID]:
        return {pk for stored in self.vectors.values() for pk in stored}

    def stored(self) -> list[contract.StoredVector]:
        return [vector for stored in self.vectors.values() for vector in list(stored.values())]

    async def _models(self, _request: Request) -> Response:
        embeddings = [contract.EmbeddingInfo(id=one, default=one == EMBEDDING) for one in (EMBEDDING, OTHER_EMBEDDING)]
        return _answer(contract.ModelsResponse(models=[], embeddings=embeddings))

    async def _agents(self, _request: Request) -> Response:
        return _answer(contract.AgentsResponse(agents=[]))

    async def _embed(self, request: Request) -> Response:
        async with self._counted(request, "embed"):
            wanted = contract.EmbedAndStoreRequest.model_validate_json(await request.body())
            if (fault := self._fault()) is not None and fault != "lost answer":
                return _refuse(fault)
            await asyncio.to_thread(self._interrupt, "before_embedding")
            self.embeddings[_namespace(request)].add(wanted.embedding)
            stored = self.vectors[_namespace(request)]
            new = [chunk for chunk in wanted.chunks if chunk.id not in stored or not stored[chunk.id].complete]
            self.headings.update(chunk.heading for chunk in wanted.chunks)
            await asyncio.sleep(self.seconds)
            with self._lock:
                self.embedded.update(chunk.id for chunk in new)
                for chunk in new:
                    place = {"chunk": chunk.id, "document": chunk.document, "version": chunk.version}
                    stored[chunk.id] = contract.StoredVector(**place)
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
            await asyncio.to_thread(self._interrupt, "before_listing")
            wanted = contract.ListVectorsRequest.model_validate_json(await request.body())
            stored = self.vectors[_namespace(request)]
            ids = sorted(pk for pk in stored if wanted.after is None or pk > wanted.after)[: min(wanted.limit, 50)]
            following = ids[-1] if len(ids) == 50 else None
            return _answer(contract.ListVectorsResponse(vectors=[stored[pk] for pk in ids], next=following))

    async def _namespaces(self, request: Request) -> Response:
        wanted = contract.ListNamespacesRequest.model_validate_json(await request.body())
        held = sorted(name for name, stored in list(self.vectors.items()) if stored)
        names = [name for name in held if name.startswith(wanted.prefix) and name > wanted.after][:2]
        return _answer(contract.ListNamespacesResponse(namespaces=names, next=names[-1] if len(names) == 2 else None))

    def _interrupt(self, name: str) -> None:
        """Once; in a thread, and so on a connection to the database, of its own."""
        with self._lock:
            once = getattr(self, name)
            setattr(self, name, lambda: None)
        once()
        connection.close()

    def _fault(self) -> Response | str | None:
        with self._lock:
            fault = self.faults.pop(0) if self.faults else None
            return None if fault == "none" else fault

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
