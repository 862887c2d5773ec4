"""A caller who goes away stops the cost."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.agent_service.calls import Caller, asking, passage, storing
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedChat, ScriptedEmbedder, follows

QUESTION = asking("How long is the Elbe?", passage("The Elbe is 1,094 km long."))
TIMES = 20


def eventually(holds: Callable[[], bool], seconds: float = 3.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("script", [[30.0], ["word ", 0.02] * 1000], ids=["idle", "streaming"])
async def test_the_models_stream_is_closed(start_agent: StartAgent, script: list[Any], stream: bool) -> None:
    model = follows(*script)
    caller = start_agent(model)
    request = asking("Go on", QUESTION["passages"][0], stream=stream, max_output_tokens=5_000)
    started = time.monotonic()
    await asyncio.gather(*(_leave(caller, request) for _ in range(TIMES)))
    assert eventually(lambda: model.opened == model.closed == TIMES), (model.opened, model.closed)
    assert time.monotonic() - started < 5


async def _leave(caller: Caller, request: dict[str, Any]) -> None:
    """Closes the connection half a second after asking, in the middle of whatever comes."""
    body = json.dumps(request).encode()
    headers = caller.headers("POST", "/chat", body) | {"Content-Length": str(len(body)), "Host": "agent"}
    address = urlsplit(caller.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /chat HTTP/1.1\r\n{lines}\r\n".encode() + body)
    await writer.drain()
    await asyncio.sleep(0.5)
    writer.close()
    await writer.wait_closed()


async def test_a_search_is_given_up(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(seconds=0.5)
    caller = start_agent(embedder=embedder)
    with pytest.raises(httpx.ReadTimeout):
        caller.post("/retrieve", {"embedding": embedder.id, "query": "x", "limit": 1}, timeout=0.1)
    assert caller.post("/embed_and_store", storing("still works")).status_code == 200


def test_a_reader_who_takes_nothing_is_given_up(start_agent: StartAgent) -> None:
    model = ScriptedChat([["🙂" * 1000] * 20_000])  # twelve bytes a letter on the wire: more than any buffer takes
    caller = start_agent(model, agent_reader_seconds=0.5)
    body = json.dumps(QUESTION | {"stream": True, "max_output_tokens": 65_536, "passages": []}).encode()
    model.context_tokens = 1_000_000
    headers = caller.headers("POST", "/chat", body) | {"Content-Length": str(len(body)), "Host": "agent"}
    address = urlsplit(caller.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((address.hostname, address.port))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"POST /chat HTTP/1.1\r\n{lines}\r\n".encode() + body)
        assert eventually(lambda: model.opened == 1)
        assert eventually(lambda: model.closed == 1, seconds=5)
