"""Servers that tools call: one that does as it is told, and the real one of the protocol for tools."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django import Settings

from backend.bots.models import Bot, BotVersion
from backend.users.models import User

LOOPBACK = "127.0.0.0/8"


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    body: bytes = b'{"temperature": 21}'
    asked: list[Asked] = field(default_factory=list)


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            told.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
            self.send_response(told.status)
            for name, value in {**told.headers, "Content-Length": str(len(told.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        do_GET = do_POST = _answer  # noqa: N815 - as the library looks for them

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    port = listening.server_address[1]
    told.url = f"http://127.0.0.1:{port}"
    settings.FETCH_ALLOWED_NETWORKS = [LOOPBACK]
    settings.FETCH_PORTS = [port]
    yield told
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def bot(owner: User) -> Bot:
    made: Bot = Bot.objects.create(owner=owner, name="Tool bot", embedding="local:wordllama:256")
    made.version = BotVersion.objects.create(bot=made, number=1, author=owner)
    made.save(update_fields=["version"])
    return made


def weather(base: str, /, **fields: Any) -> dict[str, Any]:
    parameters = {
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    }
    values = {"kind": "http", "name": "weather", "description": "Tells the weather.", "url": f"{base}/of/{{city}}"}
    return {**values, "parameters": parameters, **fields}


Declare = Callable[..., Any]
