"""Every way the agent can fail becomes one error of ours."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator

import httpx
import jwt
import pytest
import respx
from django.test import override_settings

from agent_service import contract
from backend import agent_client
from backend.agent_client import AgentError, AgentGarbage, AgentRefused, AgentTimeout, AgentUnavailable, Scope

URL = "http://agent.test"
KEY = "a-service-key-of-more-than-thirty-two-characters"
RETRIEVE = contract.RetrieveRequest(embedding="local:wordllama:256", query="why?", limit=3)
SCOPE = Scope(user=uuid.uuid4(), bot=uuid.uuid4(), namespace="bot-1", max_output_tokens=50)
USAGE = {"provider": "local", "model": "local:extractive", "input_tokens": 1, "output_tokens": 2, "estimated": True}
FOUND = {"hits": [], "usage": USAGE, "timings": {}}
CHAT = contract.ChatRequest(
    model="local:extractive", temperature=0, strictness="strict", question="why?", max_output_tokens=50
)


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    agent_client.breaker.succeeded()
    with override_settings(AGENT_URL=URL, SERVICE_KEY=KEY, AGENT_CALL_SECONDS=0.3, AGENT_CHAT_SECONDS=0.5):
        yield
    agent_client.breaker.succeeded()


async def retrieve() -> contract.RetrieveResponse:
    async with agent_client.connect() as agent:
        return await agent.retrieve(RETRIEVE, scope=SCOPE)


async def chat() -> list[agent_client.ChatEvent]:
    async with agent_client.connect() as agent:
        return [event async for event in agent.chat(CHAT, scope=SCOPE)]


def sse(*events: tuple[str, object]) -> bytes:
    return b"".join(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in events)


def stream(*blocks: bytes, error: Exception | None = None) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block
        if error:
            raise error

    return httpx.Response(200, content=body())


@respx.mock
async def test_the_token_is_bound_to_the_call_and_says_what_it_may_touch() -> None:
    route = respx.post(f"{URL}/retrieve").respond(json=FOUND)
    await retrieve()
    sent = route.calls.last.request
    claims = jwt.decode(
        sent.headers[contract.TOKEN_HEADER], KEY, algorithms=["HS256"], audience=contract.TOKEN_AUDIENCE
    )
    assert contract.Claims.model_validate(claims).exp - claims["iat"] <= contract.TOKEN_MAX_SECONDS
    assert claims["body"] == hashlib.sha256(sent.content).hexdigest()
    assert (claims["method"], claims["path"]) == ("POST", "/retrieve")
    assert (claims["user"], claims["bot"]) == (str(SCOPE.user), str(SCOPE.bot))
    assert (claims["namespace"], claims["max_output_tokens"]) == ("bot-1", 50)


@respx.mock
async def test_every_call_has_a_token_of_its_own() -> None:
    route = respx.post(f"{URL}/retrieve").respond(json=FOUND)
    await retrieve()
    await retrieve()
    first, second = (call.request.headers[contract.TOKEN_HEADER] for call in route.calls)
    assert first != second


@respx.mock
async def test_a_refused_connection_is_tried_once_more() -> None:
    route = respx.post(f"{URL}/retrieve").mock(
        side_effect=[httpx.ConnectError("refused"), httpx.Response(200, json=FOUND)]
    )
    assert (await retrieve()).hits == []
    assert route.call_count == 2


@respx.mock
async def test_a_connection_refused_twice_is_unavailable() -> None:
    route = respx.post(f"{URL}/retrieve").mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(AgentUnavailable) as caught:
        await retrieve()
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "agent_unavailable", 1)
    assert route.call_count == 2


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.ReadTimeout("slow"), AgentTimeout),
        (httpx.ConnectTimeout("slow"), AgentTimeout),
        (httpx.PoolTimeout("full"), AgentTimeout),
        (httpx.ReadError("reset"), AgentUnavailable),
        (httpx.RemoteProtocolError("cut"), AgentUnavailable),
        (httpx.DecodingError("not gzip"), AgentUnavailable),
    ],
)
@respx.mock
async def test_a_broken_exchange_is_not_repeated(failure: Exception, expected: type[AgentError]) -> None:
    route = respx.post(f"{URL}/retrieve").mock(side_effect=failure)
    with pytest.raises(expected):
        await retrieve()
    assert route.call_count == 1


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"hits": 1}', '{"hits": [], "usage": null, "timings": {}}'])
@respx.mock
async def test_an_answer_that_is_not_the_protocol_is_garbage(body: str) -> None:
    respx.post(f"{URL}/retrieve").respond(content=body)
    with pytest.raises(AgentGarbage):
        await retrieve()


@pytest.mark.parametrize(
    ("status", "ours"), [(400, 502), (403, 502), (404, 502), (422, 502), (500, 502), (502, 502), (503, 503), (504, 504)]
)
@respx.mock
async def test_a_refusal_keeps_its_code_and_is_never_our_clients_fault(status: int, ours: int) -> None:
    body = {"code": "upstream_overloaded", "message": "Busy.", "retryable": True}
    respx.post(f"{URL}/retrieve").respond(status, json=body, headers={"Retry-After": "7"})
    with pytest.raises(AgentRefused) as caught:
        await retrieve()
    error = caught.value
    assert (error.status, error.code, error.message) == (ours, "upstream_overloaded", "Busy.")
    assert (error.retryable, error.retry_after) == (True, 7)


@respx.mock
async def test_a_refused_signature_is_the_operators_business() -> None:
    respx.post(f"{URL}/retrieve").respond(401, json={"code": "token_invalid", "message": "No."})
    with pytest.raises(AgentUnavailable, match="SERVICE_KEY"):
        await retrieve()


@respx.mock
async def test_an_error_page_of_something_in_between_is_garbage() -> None:
    respx.post(f"{URL}/retrieve").respond(502, content="<html>Bad Gateway</html>")
    with pytest.raises(AgentGarbage):
        await retrieve()


@respx.mock
async def test_the_breaker_stops_asking_and_asks_again_later() -> None:
    route = respx.post(f"{URL}/retrieve").mock(side_effect=httpx.ReadTimeout("slow"))
    with override_settings(AGENT_BREAKER_FAILURES=2, AGENT_BREAKER_SECONDS=0.2):
        for _ in range(2):
            with pytest.raises(AgentTimeout):
                await retrieve()
        with pytest.raises(AgentUnavailable):
            await retrieve()
        assert route.call_count == 2
        await asyncio.sleep(0.25)
        route.mock(return_value=httpx.Response(200, json=FOUND))
        await retrieve()


@respx.mock
async def test_a_stream_yields_its_events_however_they_are_cut() -> None:
    whole = sse(("delta", {"text": "Hé"}), ("usage", USAGE), ("done", {"finish_reason": "stop"}))
    respx.post(f"{URL}/chat").mock(return_value=stream(b": hi\n\n", *(bytes([byte]) for byte in whole)))
    delta, usage, done = await chat()
    assert delta == contract.DeltaEvent(text="Hé")
    assert isinstance(usage, contract.UsageEvent)
    assert done == contract.DoneEvent(finish_reason="stop")


@respx.mock
async def test_a_stream_that_ends_early_is_an_error() -> None:
    respx.post(f"{URL}/chat").mock(return_value=stream(sse(("delta", {"text": "Half"}))))
    with pytest.raises(AgentGarbage):
        await chat()


@respx.mock
async def test_a_stream_cut_on_the_wire_is_unavailable() -> None:
    cut = stream(sse(("delta", {"text": "Half"})), error=httpx.RemoteProtocolError("cut"))
    respx.post(f"{URL}/chat").mock(return_value=cut)
    with pytest.raises(AgentUnavailable):
        await chat()


@respx.mock
async def test_an_error_event_is_raised_with_its_code() -> None:
    body = {"code": "upstream_timeout", "message": "Slow.", "retryable": True}
    respx.post(f"{URL}/chat").mock(return_value=stream(sse(("error", body))))
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
@respx.mock
async def test_a_stream_that_is_not_the_protocol_is_garbage(block: bytes) -> None:
    respx.post(f"{URL}/chat").mock(return_value=stream(block))
    with pytest.raises(AgentGarbage):
        await chat()


@respx.mock
async def test_a_refused_chat_is_refused_before_its_first_event() -> None:
    respx.post(f"{URL}/chat").respond(503, json={"code": "model_unavailable", "message": "Down.", "retryable": True})
    with pytest.raises(AgentRefused, match=r"Down\."):
        await chat()


@respx.mock
async def test_the_deadline_bounds_the_whole_stream() -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.05)
            yield sse(("delta", {"text": "."}))

    respx.post(f"{URL}/chat").mock(return_value=httpx.Response(200, content=drip()))
    with pytest.raises(AgentTimeout):
        await chat()


@respx.mock
async def test_an_agent_that_is_not_ready_says_why() -> None:
    respx.get(f"{URL}/readyz").respond(503, json={"ready": False, "checks": {"store": "does not answer"}})
    async with agent_client.connect() as agent:
        assert (await agent.ready()).checks == {"store": "does not answer"}


@respx.mock
async def test_no_error_carries_the_service_key() -> None:
    respx.post(f"{URL}/retrieve").mock(side_effect=httpx.ReadError("reset"))
    with pytest.raises(AgentError) as caught:
        await retrieve()
    assert KEY not in repr(caught.value) + str(caught.value.details)
