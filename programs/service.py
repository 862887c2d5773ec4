"""The agent service as a program calls it: signed, for the one bot that it is compiled for."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar
from uuid import UUID, uuid4

import httpx
import jwt
from pydantic import BaseModel, ValidationError

from agent_service.contract import (
    TOKEN_AUDIENCE,
    TOKEN_HEADER,
    TOKEN_ISSUER,
    TOKEN_MAX_SECONDS,
    ChatRequest,
    ChatResponse,
    Claims,
    ErrorBody,
    RetrieveRequest,
    RetrieveResponse,
)

SECONDS = 130.0
"""More than the service lets a model take: its limits are those that count."""

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Bot:
    """Whose passages are searched, and those parts of its configuration that the stages depend on."""

    user: UUID
    bot: UUID
    namespace: str
    embedding: str
    model: str
    strictness: Literal["strict", "prefer", "free"] = "prefer"
    temperature: float = 0.2
    instructions: str = ""
    max_output_tokens: int = 1_000


class Refused(Exception):
    """The agent service refused, in its own words."""

    def __init__(self, status: int, body: ErrorBody) -> None:
        super().__init__(f"{body.code}: {body.message}")
        self.status = status
        self.body = body


class AgentService:
    """Raises Refused, and httpx.TransportError where it does not answer."""

    def __init__(self, url: str, key: str, bot: Bot) -> None:
        self.bot = bot
        self._key = key
        self._http = httpx.Client(base_url=url, timeout=SECONDS, trust_env=False)

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        """An optimiser copies programs; their copies share the connections."""
        return self

    def close(self) -> None:
        self._http.close()

    def chat(self, request: ChatRequest) -> ChatResponse:
        return self._post("/chat", request, ChatResponse)

    def retrieve(self, request: RetrieveRequest) -> RetrieveResponse:
        return self._post("/retrieve", request, RetrieveResponse)

    def _post(self, path: str, request: BaseModel, answer: type[Answer]) -> Answer:
        body = request.model_dump_json().encode()
        headers = {TOKEN_HEADER: self._token(path, body), "Content-Type": "application/json"}
        response = self._http.post(path, content=body, headers=headers)
        if response.is_success:
            return answer.model_validate_json(response.content)
        try:
            told = ErrorBody.model_validate_json(response.content)
        except ValidationError:
            told = ErrorBody(code="unreadable", message=f"HTTP {response.status_code}")
        raise Refused(response.status_code, told)

    def _token(self, path: str, body: bytes) -> str:
        now = int(time.time())
        claims = Claims(
            iss=TOKEN_ISSUER,
            aud=TOKEN_AUDIENCE,
            iat=now,
            exp=now + TOKEN_MAX_SECONDS,
            jti=uuid4().hex,
            method="POST",
            path=path,
            body=hashlib.sha256(body).hexdigest(),
            user=self.bot.user,
            bot=self.bot.bot,
            namespace=self.bot.namespace,
        )
        return jwt.encode(claims.model_dump(mode="json", exclude_none=True), self._key, algorithm="HS256")
