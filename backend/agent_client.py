"""The only caller of the agent service: every call signed and bounded in time, every failure one of our errors."""

import asyncio
import hashlib
import ssl
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import httpx
import jwt
from django.conf import settings
from pydantic import BaseModel, ValidationError

from agent_service import contract
from backend.core import request_id
from backend.core.errors import ChatSphereError

Answer = TypeVar("Answer", bound=BaseModel)
ChatEvent = contract.DeltaEvent | contract.CitationsEvent | contract.UsageEvent | contract.DoneEvent

MAX_FRAME_BYTES = 1024 * 1024


class AgentError(ChatSphereError):
    """The agent service could not do this."""

    status: int = HTTPStatus.BAD_GATEWAY
    code = "agent_error"
    retryable = False


class AgentUnavailable(AgentError):
    """The agent service is not available; try again shortly."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "agent_unavailable"
    retryable = True


class AgentTimeout(AgentError):
    """The agent service took too long."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "agent_timeout"
    retryable = True


class AgentGarbage(AgentError):
    """The agent service answered something that is not its protocol."""

    code = "agent_garbage"
    retryable = True


class AgentRefused(AgentError):
    """The agent service refused."""

    code = "agent_refused"

    def __init__(self, body: contract.ErrorBody, *, status: int, retry_after: int | None = None) -> None:
        """Carries the agent's own code, message and status, which name what failed upstream and hold no secret."""
        super().__init__(body.message, details=body.details, retry_after=retry_after)
        self.code = body.code
        self.status = status
        self.retryable = body.retryable


@dataclass(frozen=True, slots=True)
class Scope:
    """What a call may touch; it goes into the signed token, so the agent need not believe the body."""

    user: UUID | None = None
    bot: UUID | None = None
    namespace: str | None = None
    max_output_tokens: int | None = None


class Breaker:
    """Stops asking an agent that does not answer: AGENT_BREAKER_FAILURES in a row, not for AGENT_BREAKER_SECONDS."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    def check(self) -> None:
        remaining = self._open_until - time.monotonic()
        if remaining > 0:
            raise AgentUnavailable(retry_after=max(1, round(remaining)))

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= settings.AGENT_BREAKER_FAILURES:
            self._open_until = time.monotonic() + settings.AGENT_BREAKER_SECONDS

    def succeeded(self) -> None:
        self._failures = 0
        self._open_until = 0.0


breaker = Breaker()


class AgentClient:
    """Bound to the event loop it was made in; see `connect`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def embed_and_store(
        self, request: contract.EmbedAndStoreRequest, *, scope: Scope
    ) -> contract.EmbedAndStoreResponse:
        seconds = settings.AGENT_INGEST_SECONDS
        return await self._post("/embed_and_store", request, scope, contract.EmbedAndStoreResponse, seconds)

    async def retrieve(self, request: contract.RetrieveRequest, *, scope: Scope) -> contract.RetrieveResponse:
        return await self._post("/retrieve", request, scope, contract.RetrieveResponse, settings.AGENT_CALL_SECONDS)

    async def delete_vectors(
        self, request: contract.DeleteVectorsRequest, *, scope: Scope
    ) -> contract.DeleteVectorsResponse:
        seconds = settings.AGENT_INGEST_SECONDS
        return await self._post("/vectors/delete", request, scope, contract.DeleteVectorsResponse, seconds)

    async def list_vectors(self, request: contract.ListVectorsRequest, *, scope: Scope) -> contract.ListVectorsResponse:
        return await self._post(
            "/vectors/list", request, scope, contract.ListVectorsResponse, settings.AGENT_CALL_SECONDS
        )

    async def list_namespaces(self, request: contract.ListNamespacesRequest) -> contract.ListNamespacesResponse:
        """Of everybody: only for what the operator runs."""
        return await self._post(
            "/vectors/namespaces", request, Scope(), contract.ListNamespacesResponse, settings.AGENT_INGEST_SECONDS
        )

    async def models(self) -> contract.ModelsResponse:
        headers = _headers("GET", "/models", b"", Scope())
        response = await self._exchange("GET", "/models", b"", headers, settings.AGENT_CALL_SECONDS)
        return _parsed(response, contract.ModelsResponse)

    async def ready(self) -> contract.ReadyResponse:
        """Also where the agent says that it is not ready."""
        response = await self._exchange("GET", "/readyz", b"", {}, settings.AGENT_CALL_SECONDS, refuse=False)
        return _validated(contract.ReadyResponse, response.content)

    async def chat(self, request: contract.ChatRequest, *, scope: Scope) -> AsyncGenerator[ChatEvent, None]:
        """Events of one answer up to its `DoneEvent`; every other end raises an AgentError. Close it to leave early."""
        body = request.model_copy(update={"stream": True}).model_dump_json().encode()
        headers = _headers("POST", "/chat", body, scope) | {"Accept": "text/event-stream"}
        deadline = asyncio.get_running_loop().time() + settings.AGENT_CHAT_SECONDS
        with _translated():
            response = await self._open_stream(body, headers)
            try:
                events = _events(response)
                while True:
                    # Around each step, not the whole: fired while the caller works, it would cancel the caller.
                    async with asyncio.timeout_at(deadline):
                        event = await anext(events, None)
                    if event is None:
                        raise AgentGarbage("The agent service's stream ended before the answer did.")
                    yield event
                    if isinstance(event, contract.DoneEvent):
                        return
            finally:
                await response.aclose()

    async def _open_stream(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        timeout = httpx.Timeout(
            settings.AGENT_IDLE_SECONDS, connect=settings.AGENT_CONNECT_SECONDS, read=settings.AGENT_IDLE_SECONDS
        )
        request = self._http.build_request("POST", "/chat", content=body, headers=headers, timeout=timeout)
        breaker.check()
        async with asyncio.timeout(settings.AGENT_FIRST_BYTE_SECONDS):
            response = await self._connected(lambda: self._http.send(request, stream=True))
        if response.status_code != HTTPStatus.OK:
            async with asyncio.timeout(settings.AGENT_CONNECT_SECONDS):
                await response.aread()
            raise _refusal(response)
        return response

    async def _post(self, path: str, request: BaseModel, scope: Scope, answer: type[Answer], seconds: float) -> Answer:
        body = request.model_dump_json().encode()
        response = await self._exchange("POST", path, body, _headers("POST", path, body, scope), seconds)
        return _parsed(response, answer)

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], seconds: float, *, refuse: bool = True
    ) -> httpx.Response:
        breaker.check()
        with _translated():
            async with asyncio.timeout(seconds):
                timeout = httpx.Timeout(seconds, connect=settings.AGENT_CONNECT_SECONDS)
                request = self._http.build_request(method, path, content=body, headers=headers, timeout=timeout)
                response = await self._connected(lambda: self._http.send(request))
        if refuse and response.status_code != HTTPStatus.OK:
            raise _refusal(response)
        return response

    async def _connected(self, send: Callable[[], Any]) -> httpx.Response:
        """One more try where nobody listened: then nothing was received. Any other failure may have had its effect."""
        try:
            response: httpx.Response = await send()
        except httpx.ConnectError:
            response = await send()
        breaker.succeeded()
        return response


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: it takes longer than a search does."""
    return httpx.create_ssl_context(trust_env=False)


@asynccontextmanager
async def connect() -> AsyncIterator[AgentClient]:
    """A client for the running event loop."""
    # Keep-alive is off for the sake of many concurrent streams: httpx's pool slows down when idle connections pile up.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=settings.AGENT_URL, limits=limits, verify=_certificates(), trust_env=False
    ) as http:
        yield AgentClient(http)


def _headers(method: str, path: str, body: bytes, scope: Scope) -> dict[str, str]:
    now = int(time.time())
    claims = {
        "iss": contract.TOKEN_ISSUER,
        "aud": contract.TOKEN_AUDIENCE,
        "iat": now,
        "exp": now + int(settings.AGENT_TOKEN_LIFETIME.total_seconds()),
        "jti": uuid.uuid4().hex,
        "method": method,
        "path": path,
        "body": hashlib.sha256(body).hexdigest(),
        "user": str(scope.user) if scope.user else None,
        "bot": str(scope.bot) if scope.bot else None,
        "namespace": scope.namespace,
        "max_output_tokens": scope.max_output_tokens,
    }
    return {
        contract.TOKEN_HEADER: jwt.encode(claims, settings.SERVICE_KEY, algorithm="HS256"),
        contract.REQUEST_ID_HEADER: request_id.current.get(),
        "Content-Type": "application/json",
    }


@contextmanager
def _translated() -> Iterator[None]:
    """httpx's and asyncio's failures, as ours."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException) as exc:
        breaker.failed()
        raise AgentTimeout(retry_after=1) from exc
    except httpx.ConnectError as exc:
        breaker.failed()
        raise AgentUnavailable(retry_after=1) from exc
    except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as exc:
        raise AgentUnavailable("The connection to the agent service broke.", retry_after=1) from exc


def _validated(kind: type[Answer], content: str | bytes) -> Answer:
    try:
        return kind.model_validate_json(content)
    except ValidationError as exc:
        raise AgentGarbage from exc


def _parsed(response: httpx.Response, kind: type[Answer]) -> Answer:
    return _validated(kind, response.content)


def _refusal(response: httpx.Response) -> AgentError:
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        # Only a wrong SERVICE_KEY or clock does this; the asker must not read it as their own 401.
        return AgentUnavailable("The agent service does not accept our signature; the operator must check SERVICE_KEY.")
    body = _validated(contract.ErrorBody, response.content)
    retry_after = response.headers.get("Retry-After", "")
    return AgentRefused(
        body,
        status=max(response.status_code, HTTPStatus.BAD_GATEWAY),
        retry_after=int(retry_after) if retry_after.isdecimal() else None,
    )


_EVENTS: dict[str, type[contract.DeltaEvent | contract.CitationsEvent | contract.UsageEvent | contract.DoneEvent]] = {
    "delta": contract.DeltaEvent,
    "citations": contract.CitationsEvent,
    "usage": contract.UsageEvent,
    "done": contract.DoneEvent,
}


async def _events(response: httpx.Response) -> AsyncIterator[ChatEvent]:
    async for name, data in _frames(response):
        if name == "error":
            raise AgentRefused(_validated(contract.ErrorBody, data), status=HTTPStatus.BAD_GATEWAY)
        if name not in _EVENTS:
            raise AgentGarbage
        yield _validated(_EVENTS[name], data)


async def _frames(response: httpx.Response) -> AsyncIterator[tuple[str, bytes]]:
    """`(event, data)` of each frame; the agent writes one `data:` line per frame, and comments as heartbeat."""
    pending = b""
    async for block in response.aiter_raw():
        pending += block
        *frames, pending = pending.split(b"\n\n")
        if len(pending) > MAX_FRAME_BYTES:
            raise AgentGarbage
        for frame in frames:
            fields = dict(
                line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line and not line.startswith(b":")
            )
            if b"data" in fields:
                yield fields.get(b"event", b"").decode("ascii", "replace"), fields[b"data"]
