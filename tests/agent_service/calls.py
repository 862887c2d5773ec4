"""Calling the agent as the backend does: with a token signed for one request."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt

from agent_service.contract import TOKEN_AUDIENCE, TOKEN_HEADER, TOKEN_ISSUER
from tests.serving import PLAIN

SERVICE_KEY = "w7Rk2pQz9LmX4vTb8NcY6sHd3FgJ5aEu"

Event = tuple[str, Any]


def claims_for(method: str, path: str, body: bytes, /, **claims: Any) -> dict[str, Any]:
    now = int(time.time())
    bound = {
        "iss": TOKEN_ISSUER,
        "aud": TOKEN_AUDIENCE,
        "iat": now,
        "exp": now + 30,
        "jti": uuid4().hex,
        "method": method,
        "path": path,
        "body": hashlib.sha256(body).hexdigest(),
    }
    return {name: value for name, value in (bound | claims).items() if value is not None}


def sign(method: str, path: str, body: bytes = b"", /, *, key: str = SERVICE_KEY, **claims: Any) -> str:
    """A service token. Claims replace the right ones; a claim of None is left out."""
    return jwt.encode(claims_for(method, path, body, **claims), key, algorithm="HS256")


@dataclass(frozen=True)
class Caller:
    """One user's bot with a namespace of its own, calling the agent at `url`."""

    url: str
    namespace: str
    user: UUID
    bot: UUID

    def headers(self, method: str, path: str, body: bytes, **claims: Any) -> dict[str, str]:
        scope = {"user": str(self.user), "bot": str(self.bot), "namespace": self.namespace}
        return {TOKEN_HEADER: sign(method, path, body, **(scope | claims)), "Content-Type": "application/json"}

    def post(
        self, path: str, request: Any, *, timeout: float = 30, claims: dict[str, Any] | None = None
    ) -> httpx.Response:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        headers = self.headers("POST", path, body, **(claims or {}))
        return httpx.post(self.url + path, content=body, headers=headers, timeout=timeout, verify=PLAIN)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=self.headers("GET", path, b""), timeout=30, verify=PLAIN)

    @contextmanager
    def streaming(self, request: dict[str, Any]) -> Iterator[httpx.Response]:
        body = json.dumps(request | {"stream": True}).encode()
        headers = self.headers("POST", "/chat", body)
        with httpx.stream(
            "POST", f"{self.url}/chat", content=body, headers=headers, timeout=30, verify=PLAIN
        ) as response:
            yield response

    def events(self, request: dict[str, Any]) -> list[Event]:
        with self.streaming(request) as response:
            assert response.status_code == 200, response.read()
            return parsed(response.read().decode())


def new_caller(url: str) -> Caller:
    return Caller(url, f"bot-{uuid4()}", uuid4(), uuid4())


def parsed(stream: str) -> list[Event]:
    """The events of a whole stream; comments are left out."""
    frames = [frame for frame in stream.split("\n\n") if frame and not frame.startswith(":")]
    events = []
    for frame in frames:
        name, data = frame.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def chunk(text: str) -> dict[str, str]:
    return {"id": str(uuid4()), "document": str(uuid4()), "version": str(uuid4()), "text": text}


def storing(*texts: str, embedding: str = "fake:letters:8", **fields: Any) -> dict[str, Any]:
    return {"embedding": embedding, "chunks": of_one_document(*texts)} | fields


def of_one_document(*texts: str, **fields: str) -> list[dict[str, str]]:
    place = {"document": str(uuid4()), "version": str(uuid4())} | fields
    return [chunk(text) | place for text in texts]


def passage(text: str, title: str = "A paper", page: int | None = 1) -> dict[str, Any]:
    return {"id": str(uuid4()), "title": title, "page": page, "text": text}


def asking(question: str, *passages: dict[str, Any], model: str = "fake:chat", **fields: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"model": model, "temperature": 0, "strictness": "prefer", "max_output_tokens": 200}
    return request | {"question": question, "passages": list(passages)} | fields
