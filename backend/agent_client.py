"""The only caller of the agent service: every call signed and bounded in time, every failure one of our errors."""

import asyncio
import hashlib
import json
import ssl
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import aiohttp
import certifi
from django.conf import settings
from pydantic import BaseModel, ValidationError

from agent_service import contract
from backend.core import jws, request_id
from backend.core.errors import ChatSphereError

Answer = TypeVar("Answer", bound=BaseModel)
ChatEvent = (
    contract.DeltaEvent | contract.CitationsEvent | contract.FollowUpsEvent | contract.UsageEvent | contract.DoneEvent
)

MAX_FRAME_BYTES = 1024 * 1024
KEPT_SECONDS = 3.0
"""An idle connection is kept, less than the agent keeps it (uvicorn: 5 s), so that none is used that it is closing."""
UNKNOWN_NAMESPACES = "unknown_namespaces"


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
    namespaces_sha256: str | None = None
    max_output_tokens: int | None = None


Use = Callable[[contract.ToolCallEvent], Awaitable[contract.ToolResult]]


class Breaker:
    """Stops asking an agent that does not answer: AGENT_BREAKER_FAILURES in a row, not for AGENT_BREAKER_SECONDS."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    def check(self) -> None:
        remaining = self._open_until - time.monotonic()
        if remaining > 0:
            raise AgentUnavailable(retry_after=max(1, round(remaining)))

    @property
    def is_open(self) -> bool:
        return self._open_until > time.monotonic()

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

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def embed_and_store(
        self, request: contract.EmbedAndStoreRequest, *, scope: Scope
    ) -> contract.EmbedAndStoreResponse:
        seconds = settings.AGENT_INGEST_SECONDS
        return await self._post("/embed_and_store", request, scope, contract.EmbedAndStoreResponse, seconds)

    async def retrieve(self, request: contract.RetrieveRequest, *, scope: Scope) -> contract.RetrieveResponse:
        return await self._post("/retrieve", request, scope, contract.RetrieveResponse, settings.AGENT_CALL_SECONDS)

    async def retrieve_across(
        self, request: contract.RetrieveAcrossRequest, *, scope: Scope
    ) -> contract.RetrieveResponse:
        """Raises AgentRefused with UNKNOWN_NAMESPACES where the names themselves are needed."""
        seconds = settings.AGENT_CALL_SECONDS
        return await self._post("/retrieve/across", request, scope, contract.RetrieveResponse, seconds)

    async def rerank(self, request: contract.RerankRequest, *, scope: Scope) -> contract.RerankResponse:
        return await self._post("/rerank", request, scope, contract.RerankResponse, settings.AGENT_CALL_SECONDS)

    async def embed(self, request: contract.EmbedRequest, *, scope: Scope) -> contract.EmbedResponse:
        return await self._post("/embed", request, scope, contract.EmbedResponse, settings.AGENT_CALL_SECONDS)

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

    async def providers(self) -> contract.ProvidersResponse:
        headers = _headers("GET", "/providers", b"", Scope())
        response = await self._exchange("GET", "/providers", b"", headers, settings.AGENT_CALL_SECONDS)
        return _parsed(response, contract.ProvidersResponse)

    async def count_tokens(self, request: contract.CountTokensRequest, *, scope: Scope) -> contract.CountTokensResponse:
        seconds = settings.AGENT_CALL_SECONDS
        return await self._post("/count-tokens", request, scope, contract.CountTokensResponse, seconds)

    async def estimate_cost(self, request: contract.EstimateCostRequest) -> contract.EstimateCostResponse:
        seconds = settings.AGENT_CALL_SECONDS
        return await self._post("/estimate-cost", request, Scope(), contract.EstimateCostResponse, seconds)

    async def agents(self) -> contract.AgentsResponse:
        headers = _headers("GET", "/agents", b"", Scope())
        response = await self._exchange("GET", "/agents", b"", headers, settings.AGENT_CALL_SECONDS)
        return _parsed(response, contract.AgentsResponse)

    async def ready(self) -> contract.ReadyResponse:
        """Also where the agent says that it is not ready."""
        response = await self._exchange("GET", "/readyz", b"", {}, settings.AGENT_CALL_SECONDS, refuse=False)
        return _parsed(response, contract.ReadyResponse)

    async def chat(self, request: contract.ChatRequest, *, scope: Scope) -> AsyncGenerator[ChatEvent, None]:
        """Events of one answer up to its `DoneEvent`; every other end raises an AgentError. Close it to leave early."""
        body = request.model_copy(update={"stream": True}).model_dump_json().encode()
        headers = _headers("POST", "/chat", body, scope) | {"Accept": "text/event-stream"}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + settings.AGENT_CHAT_SECONDS
        with _translated():
            response = await self._open_stream(body, headers)
            # The reading fails, then or at its next attempt: a timeout around it all would cancel the caller amid work.
            expiry = loop.call_at(deadline, response.content.set_exception, TimeoutError())
            try:
                async for event in _events(response):
                    yield event
                    if isinstance(event, contract.DoneEvent):
                        return
                raise AgentGarbage("The agent service's stream ended before the answer did.")
            finally:
                expiry.cancel()
                response.close()  # one that was read to its end has gone back to the kept ones already

    async def process(
        self, request: contract.ProcessRequest, *, scope: Scope, use: Use
    ) -> AsyncGenerator[ChatEvent, None]:
        """As `chat`, of an agent that may ask for tools: `use` is called for each, several at a time, and must not
        raise."""
        body = request.model_dump_json()
        headers = _headers("GET", "/agents/process", body.encode(), scope)
        deadline = asyncio.get_running_loop().time() + settings.AGENT_CHAT_SECONDS
        breaker.check()
        with _translated():
            async with asyncio.timeout(settings.AGENT_FIRST_BYTE_SECONDS):
                socket = await self._http.ws_connect(
                    "/agents/process", headers=headers, max_msg_size=MAX_FRAME_BYTES, compress=0
                )
                breaker.succeeded()
            line = _Line(socket, use, deadline)
            try:
                await socket.send_str(body)
                async for event in line.events():
                    yield event
                    if isinstance(event, contract.DoneEvent):
                        return
                raise AgentGarbage("The agent service left before the answer was complete.")
            finally:
                await line.close()

    async def _open_stream(self, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        breaker.check()
        async with asyncio.timeout(settings.AGENT_FIRST_BYTE_SECONDS):
            response = await self._connected("POST", "/chat", body, headers, _limits(settings.AGENT_IDLE_SECONDS))
        if response.status != HTTPStatus.OK:
            async with asyncio.timeout(settings.AGENT_CONNECT_SECONDS):
                reply = await _read(response)
            raise _refusal(reply)
        return response

    async def _post(self, path: str, request: BaseModel, scope: Scope, answer: type[Answer], seconds: float) -> Answer:
        body = request.model_dump_json().encode()
        reply = await self._exchange("POST", path, body, _headers("POST", path, body, scope), seconds)
        return _parsed(reply, answer)

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], seconds: float, *, refuse: bool = True
    ) -> "Reply":
        breaker.check()
        with _translated():
            async with asyncio.timeout(seconds):
                reply = await _read(await self._connected(method, path, body, headers, _limits(None)))
        if refuse and reply.status != HTTPStatus.OK:
            raise _refusal(reply)
        return reply

    async def _connected(
        self, method: str, path: str, body: bytes, headers: dict[str, str], limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """One more try where nobody listened: then nothing was received. Any other failure may have had its effect."""

        async def send() -> aiohttp.ClientResponse:
            return await self._http.request(
                method, path, data=body, headers=headers, timeout=limits, allow_redirects=False
            )

        try:
            response = await send()
        except aiohttp.ClientConnectorError:
            response = await send()
        breaker.succeeded()
        return response


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the agent's that was read whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes


async def _read(response: aiohttp.ClientResponse) -> Reply:
    try:
        return Reply(response.status, response.headers, await response.read())
    finally:
        response.close()


def _limits(idle_seconds: float | None) -> aiohttp.ClientTimeout:
    """Of connecting and of silence; the totals are deadlines of ours."""
    return aiohttp.ClientTimeout(total=None, sock_connect=settings.AGENT_CONNECT_SECONDS, sock_read=idle_seconds)


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: it takes longer than a search does."""
    return ssl.create_default_context(cafile=certifi.where())


@dataclass(slots=True)
class _Kept:
    """What an event loop keeps, from the first time that it is asked for."""

    closing: AsyncExitStack
    agent: AgentClient | None = None


_kept: "WeakKeyDictionary[asyncio.AbstractEventLoop, _Kept]" = WeakKeyDictionary()


@asynccontextmanager
async def kept() -> AsyncIterator[None]:
    """Meanwhile all that the running event loop asks the agent goes through one client, over its open connections."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as closing:
        _kept[loop] = _Kept(closing)
        try:
            yield
        finally:
            del _kept[loop]


@asynccontextmanager
async def connect() -> AsyncIterator[AgentClient]:
    """A client for the running event loop: the one that it keeps, or else one that is closed at the end."""
    if keeps := _kept.get(asyncio.get_running_loop()):
        if keeps.agent is None:
            keeps.agent = await keeps.closing.enter_async_context(_opened())
        yield keeps.agent
        return
    async with _opened() as agent:
        yield agent


@asynccontextmanager
async def _opened() -> AsyncIterator[AgentClient]:
    # Not httpx: a call of it costs nine times the CPU of these, and its pool slows down under many streams.
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEPT_SECONDS,
        ssl=_certificates() if settings.AGENT_URL.startswith("https:") else True,
    )
    async with aiohttp.ClientSession(
        settings.AGENT_URL,
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
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
        "namespaces_sha256": scope.namespaces_sha256,
        "max_output_tokens": scope.max_output_tokens,
    }
    return {
        contract.TOKEN_HEADER: jws.written(json.dumps(claims, separators=(",", ":")).encode(), settings.SERVICE_KEY),
        contract.REQUEST_ID_HEADER: request_id.current.get(),
        "Content-Type": "application/json",
    }


@contextmanager
def _translated() -> Iterator[None]:
    """aiohttp's and asyncio's failures, as ours."""
    try:
        yield
    except TimeoutError as exc:  # aiohttp's are of this kind too
        breaker.failed()
        raise AgentTimeout(retry_after=1) from exc
    except aiohttp.ClientConnectorError as exc:
        breaker.failed()
        raise AgentUnavailable(retry_after=1) from exc
    except (aiohttp.ClientError, OSError) as exc:
        raise AgentUnavailable("The connection to the agent service broke.", retry_after=1) from exc


def _validated(kind: type[Answer], content: str | bytes) -> Answer:
    try:
        return kind.model_validate_json(content)
    except ValidationError as exc:
        raise AgentGarbage from exc


def _parsed(reply: Reply, kind: type[Answer]) -> Answer:
    return _validated(kind, reply.content)


def _refusal(reply: Reply) -> AgentError:
    if reply.status == HTTPStatus.UNAUTHORIZED:
        # Only a wrong SERVICE_KEY or clock does this; the asker must not read it as their own 401.
        return AgentUnavailable("The agent service does not accept our signature; the operator must check SERVICE_KEY.")
    body = _validated(contract.ErrorBody, reply.content)
    retry_after = reply.headers.get("Retry-After", "")
    return AgentRefused(
        body,
        status=max(reply.status, HTTPStatus.BAD_GATEWAY),
        retry_after=int(retry_after) if retry_after.isdecimal() else None,
    )


_EVENTS: dict[str, type[ChatEvent]] = {
    "delta": contract.DeltaEvent,
    "citations": contract.CitationsEvent,
    "follow_ups": contract.FollowUpsEvent,
    "usage": contract.UsageEvent,
    "done": contract.DoneEvent,
}


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[ChatEvent]:
    async for name, data in _frames(response):
        if name == "error":
            raise AgentRefused(_validated(contract.ErrorBody, data), status=HTTPStatus.BAD_GATEWAY)
        if name not in _EVENTS:
            raise AgentGarbage
        yield _validated(_EVENTS[name], data)


async def _frames(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, bytes]]:
    """`(event, data)` of each frame; the agent writes one `data:` line per frame, and comments as heartbeat."""
    pending = b""
    while block := await response.content.readany():
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


class _Line:
    """A WebSocket to the agent. It speaks at least every AGENT_IDLE_SECONDS, also while nothing happens."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, use: Use, deadline: float) -> None:
        self._socket = socket
        self._use = use
        self._deadline = deadline
        self._calls: set[asyncio.Task[None]] = set()

    async def events(self) -> AsyncIterator[ChatEvent]:
        while (frame := await self._frame()) is not None:
            data = json.dumps(frame.data)
            if frame.event == "tool_call":
                call = asyncio.create_task(self._answer(_validated(contract.ToolCallEvent, data)))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            elif frame.event == "error":
                raise _told(_validated(contract.ErrorBody, data))
            elif frame.event in _EVENTS:
                yield _validated(_EVENTS[frame.event], data)
            elif frame.event != "heartbeat":
                raise AgentGarbage

    async def close(self) -> None:
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self._socket.close()

    async def _frame(self) -> contract.Frame | None:
        silence = asyncio.get_running_loop().time() + settings.AGENT_IDLE_SECONDS
        async with asyncio.timeout_at(min(self._deadline, silence)):
            message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return _validated(contract.Frame, message.data)
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
            return None
        raise AgentGarbage

    async def _answer(self, call: contract.ToolCallEvent) -> None:
        result = await self._use(call)
        frame = contract.Frame(event="tool_result", data=result.model_dump(mode="json"))
        with suppress(aiohttp.ClientError, ConnectionError):  # it has left, and whoever reads its events hears of it
            await self._socket.send_str(frame.model_dump_json())


def _told(body: contract.ErrorBody) -> AgentError:
    if body.code == "service_token_invalid":
        return AgentUnavailable("The agent service does not accept our signature; the operator must check SERVICE_KEY.")
    return AgentRefused(body, status=HTTPStatus.BAD_GATEWAY)
