"""Every way the agent can fail becomes one error of ours."""

import asyncio
import gc
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import pytest
from django.conf import settings
from django.test import override_settings
from yarl import URL

from agent_service import contract
from backend import agent_client
from backend.agent_client import AgentError, AgentGarbage, AgentRefused, AgentTimeout, AgentUnavailable, Scope
from backend.config.asgi import application
from tests.stack import free_port

KEY = "a-service-key-of-more-than-thirty-two-characters"
RETRIEVE = contract.RetrieveRequest(embedding="local:wordllama:256", query="why?", limit=3)
SCOPE = Scope(user=uuid.uuid4(), bot=uuid.uuid4(), namespace="bot-1", max_output_tokens=50)
USAGE = {"provider": "local", "model": "local:extractive", "input_tokens": 1, "output_tokens": 2, "estimated": True}
FOUND = {"hits": [], "usage": USAGE, "timings": {}}
CHAT = contract.ChatRequest(
    model="local:extractive", temperature=0, strictness="strict", question="why?", max_output_tokens=50
)
Reaction = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """An agent that does what it is told, byte by byte; `reactions` in turn, the last one again and again."""

    reactions: list[Reaction] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def reacts(self, *reactions: Reaction) -> None:
        self.reactions = list(reactions)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await _head(reader):
                line, *fields = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in fields)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.received.append(Received(line, headers, body))
                await (self.reactions.pop(0) if len(self.reactions) > 1 else self.reactions[0])(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def answers(body: object, status: int = 200, **headers: str) -> Reaction:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(content)}\r\n{extra}\r\n".encode() + content)
        await writer.drain()

    return answer


def streams(*blocks: bytes, cut: bool = False, pause: float = 0.0, forever: bool = False) -> Reaction:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            for block in blocks:
                writer.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
                await writer.drain()
                await asyncio.sleep(pause)
            if not forever:
                break
        writer.close() if cut else writer.write(b"0\r\n\r\n")

    return stream


async def is_silent(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1)


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire([answers(FOUND)])
    server = await asyncio.start_server(wire.talk, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    agent_client.breaker.succeeded()
    with override_settings(
        AGENT_URL=f"http://{host}:{port}", SERVICE_KEY=KEY, AGENT_CALL_SECONDS=0.3, AGENT_CHAT_SECONDS=0.5
    ):
        yield wire
    agent_client.breaker.succeeded()
    server.close()


async def retrieve() -> contract.RetrieveResponse:
    async with agent_client.connect() as agent:
        return await agent.retrieve(RETRIEVE, scope=SCOPE)


async def chat() -> list[agent_client.ChatEvent]:
    async with agent_client.connect() as agent:
        return [event async for event in agent.chat(CHAT, scope=SCOPE)]


def sse(*events: tuple[str, object]) -> bytes:
    return b"".join(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in events)


WHOLE = sse(("delta", {"text": "Hé"}), ("usage", USAGE), ("done", {"finish_reason": "stop"}))


async def test_the_token_is_bound_to_the_call_and_says_what_it_may_touch(wire: Wire) -> None:
    await retrieve()
    (sent,) = wire.received
    claims = jwt.decode(
        sent.headers[contract.TOKEN_HEADER.lower()], KEY, algorithms=["HS256"], audience=contract.TOKEN_AUDIENCE
    )
    assert contract.Claims.model_validate(claims).exp - claims["iat"] <= contract.TOKEN_MAX_SECONDS
    assert claims["body"] == hashlib.sha256(sent.body).hexdigest()
    assert (claims["method"], claims["path"]) == ("POST", "/retrieve")
    assert sent.line == "POST /retrieve HTTP/1.1"
    assert (claims["user"], claims["bot"]) == (str(SCOPE.user), str(SCOPE.bot))
    assert (claims["namespace"], claims["max_output_tokens"]) == ("bot-1", 50)


async def test_every_call_has_a_token_of_its_own(wire: Wire) -> None:
    await retrieve()
    await retrieve()
    first, second = (call.headers[contract.TOKEN_HEADER.lower()] for call in wire.received)
    assert first != second


async def test_a_connection_is_used_again_also_after_a_stream(wire: Wire) -> None:
    wire.reacts(answers(FOUND), streams(WHOLE), answers(FOUND))
    async with agent_client.connect() as agent:
        await agent.retrieve(RETRIEVE, scope=SCOPE)
        assert len([event async for event in agent.chat(CHAT, scope=SCOPE)]) == 3
        await agent.retrieve(RETRIEVE, scope=SCOPE)
    assert (len(wire.received), wire.connections) == (3, 1)


async def test_the_server_keeps_its_connections_from_its_start_to_its_end(wire: Wire) -> None:
    started, ending = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, str]:
        if started.is_set():
            await ending.wait()
        return {"type": "lifespan.startup"}

    async def send(_: object) -> None:
        started.set()

    collected_at = gc.get_threshold()
    try:
        living = asyncio.ensure_future(application({"type": "lifespan"}, receive, send))
        await asyncio.wait_for(started.wait(), 3)
        for _ in range(3):
            await retrieve()
        assert (len(wire.received), wire.connections) == (3, 1)
        ending.set()
        await living
    finally:
        gc.unfreeze()
        gc.set_threshold(*collected_at)
    await retrieve()
    assert wire.connections == 2


async def test_what_is_asked_meanwhile_shares_the_connections_that_are_kept(wire: Wire) -> None:
    async with agent_client.kept():
        for _ in range(3):
            await retrieve()
    assert (len(wire.received), wire.connections) == (3, 1)
    await retrieve()
    assert wire.connections == 2


async def test_a_stream_that_is_left_early_is_closed(wire: Wire) -> None:
    wire.reacts(streams(sse(("delta", {"text": "."})), pause=0.01, forever=True))
    async with agent_client.connect() as agent:
        events = agent.chat(CHAT, scope=SCOPE)
        await anext(events)
        await events.aclose()
        wire.reacts(answers(FOUND))
        await agent.retrieve(RETRIEVE, scope=SCOPE)
    assert wire.connections == 2


async def test_a_refused_connection_is_tried_once_more(wire: Wire) -> None:
    tried: list[str] = []

    class OneRefusal(aiohttp.TCPConnector):
        async def connect(self, req: aiohttp.ClientRequest, **rest: Any) -> Any:  # type: ignore[override]
            tried.append(req.method)
            if len(tried) == 1:
                host, port = "127.0.0.1", free_port()
                req.url = req.url.with_host(host).with_port(port)
            else:
                req.url = URL(settings.AGENT_URL).with_path(req.url.path)
            return await super().connect(req, **rest)

    async with aiohttp.ClientSession(settings.AGENT_URL, connector=OneRefusal()) as http:
        assert (await agent_client.AgentClient(http).retrieve(RETRIEVE, scope=SCOPE)).hits == []
    assert tried == ["POST", "POST"]


async def test_a_connection_refused_twice_is_unavailable(wire: Wire) -> None:
    with override_settings(AGENT_URL=f"http://127.0.0.1:{free_port()}"), pytest.raises(AgentUnavailable) as caught:
        await retrieve()
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "agent_unavailable", 1)


@pytest.mark.parametrize(
    ("reaction", "expected"),
    [
        (is_silent, AgentTimeout),
        (resets, AgentUnavailable),
        (answers(b"half", Content_Length="100"), AgentUnavailable),
        (streams(b"{", cut=True), AgentUnavailable),
    ],
)
async def test_a_broken_exchange_is_not_repeated(reaction: Reaction, expected: type[AgentError], wire: Wire) -> None:
    wire.reacts(reaction)
    with pytest.raises(expected):
        await retrieve()
    assert len(wire.received) == 1


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"hits": 1}', b'{"hits": [], "usage": null, "timings": {}}', b"\x1f\x8b\x08"]
)
async def test_an_answer_that_is_not_the_protocol_is_garbage(body: bytes, wire: Wire) -> None:
    wire.reacts(answers(body))
    with pytest.raises(AgentGarbage):
        await retrieve()


async def test_a_redirect_is_not_followed(wire: Wire) -> None:
    wire.reacts(answers(b"", 307, Location="/elsewhere"))
    with pytest.raises(AgentGarbage):
        await retrieve()
    assert len(wire.received) == 1


@pytest.mark.parametrize(
    ("status", "ours"), [(400, 502), (403, 502), (404, 502), (422, 502), (500, 502), (502, 502), (503, 503), (504, 504)]
)
async def test_a_refusal_keeps_its_code_and_is_never_our_clients_fault(status: int, ours: int, wire: Wire) -> None:
    body = {"code": "upstream_overloaded", "message": "Busy.", "retryable": True}
    wire.reacts(answers(body, status, Retry_After="7"))
    with pytest.raises(AgentRefused) as caught:
        await retrieve()
    error = caught.value
    assert (error.status, error.code, error.message) == (ours, "upstream_overloaded", "Busy.")
    assert (error.retryable, error.retry_after) == (True, 7)


async def test_a_refused_signature_is_the_operators_business(wire: Wire) -> None:
    wire.reacts(answers({"code": "token_invalid", "message": "No."}, 401))
    with pytest.raises(AgentUnavailable, match="SERVICE_KEY"):
        await retrieve()


async def test_an_error_page_of_something_in_between_is_garbage(wire: Wire) -> None:
    wire.reacts(answers(b"<html>Bad Gateway</html>", 502))
    with pytest.raises(AgentGarbage):
        await retrieve()


async def test_the_breaker_stops_asking_and_asks_again_later(wire: Wire) -> None:
    wire.reacts(is_silent)
    with override_settings(AGENT_BREAKER_FAILURES=2, AGENT_BREAKER_SECONDS=0.2):
        for _ in range(2):
            with pytest.raises(AgentTimeout):
                await retrieve()
        with pytest.raises(AgentUnavailable):
            await retrieve()
        assert len(wire.received) == 2
        await asyncio.sleep(0.25)
        wire.reacts(answers(FOUND))
        await retrieve()


async def test_a_stream_yields_its_events_however_they_are_cut(wire: Wire) -> None:
    wire.reacts(streams(b": hi\n\n", *(bytes([byte]) for byte in WHOLE)))
    with override_settings(AGENT_CHAT_SECONDS=30):
        delta, usage, done = await chat()
    assert delta == contract.DeltaEvent(text="Hé")
    assert isinstance(usage, contract.UsageEvent)
    assert done == contract.DoneEvent(finish_reason="stop")


async def test_a_stream_that_ends_early_is_an_error(wire: Wire) -> None:
    wire.reacts(streams(sse(("delta", {"text": "Half"}))))
    with pytest.raises(AgentGarbage):
        await chat()


async def test_a_stream_cut_on_the_wire_is_unavailable(wire: Wire) -> None:
    wire.reacts(streams(sse(("delta", {"text": "Half"})), cut=True))
    with pytest.raises(AgentUnavailable):
        await chat()


async def test_an_error_event_is_raised_with_its_code(wire: Wire) -> None:
    body = {"code": "upstream_timeout", "message": "Slow.", "retryable": True}
    wire.reacts(streams(sse(("error", body))))
    with pytest.raises(AgentRefused) as caught:
        await chat()
    assert caught.value.code == "upstream_timeout"


@pytest.mark.parametrize(
    "block",
    [
        b"event: surprise\ndata: {}\n\n",
        b"event: delta\ndata: {\n\n",
        b'event: delta\ndata: {"text": 1}\n\n',
        b"event: delta\ndata: " + b"x" * (agent_client.MAX_FRAME_BYTES + 10),
    ],
)
async def test_a_stream_that_is_not_the_protocol_is_garbage(block: bytes, wire: Wire) -> None:
    wire.reacts(streams(block))
    with pytest.raises(AgentGarbage):
        await chat()


async def test_a_refused_chat_is_refused_before_its_first_event(wire: Wire) -> None:
    wire.reacts(answers({"code": "model_unavailable", "message": "Down.", "retryable": True}, 503))
    with pytest.raises(AgentRefused, match=r"Down\."):
        await chat()


async def test_the_deadline_bounds_the_whole_stream(wire: Wire) -> None:
    wire.reacts(streams(sse(("delta", {"text": "."})), pause=0.05, forever=True))
    with pytest.raises(AgentTimeout):
        await chat()


async def test_a_stream_that_falls_silent_is_given_up(wire: Wire) -> None:
    wire.reacts(streams(sse(("delta", {"text": "."})), pause=1))
    with override_settings(AGENT_IDLE_SECONDS=0.1, AGENT_CHAT_SECONDS=30), pytest.raises(AgentTimeout):
        await chat()


async def test_an_agent_that_is_not_ready_says_why(wire: Wire) -> None:
    wire.reacts(answers({"ready": False, "checks": {"store": "does not answer"}}, 503))
    async with agent_client.connect() as agent:
        assert (await agent.ready()).checks == {"store": "does not answer"}


async def test_no_error_carries_the_service_key(wire: Wire) -> None:
    wire.reacts(resets)
    with pytest.raises(AgentError) as caught:
        await retrieve()
    assert KEY not in repr(caught.value) + str(caught.value.details)
