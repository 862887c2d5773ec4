"""Who calls, with which claims, and the request in its model."""

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ValidationError

from agent_service.api.tokens import Signed, TokenGate
from agent_service.contract import TOKEN_HEADER, Claims
from agent_service.errors import BodyTimeout, BodyTooLarge, Forbidden, InvalidRequest
from agent_service.pipeline.across import sha256_of
from agent_service.pipeline.service import Service

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

SCOPE_FIELDS = {"user", "bot", "namespace"}
MOST_PROBLEMS = 5

token_header = APIKeyHeader(
    name=TOKEN_HEADER, auto_error=False, description="A token signed by the backend for this request"
)


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request. User, bot and namespace come from its claims and from nowhere else."""

    claims: Claims
    body: bytes

    def read(self, model: type[M]) -> M:
        """Raises InvalidRequest, or Forbidden for a body that tries to name a scope."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as error:
            raise refusal(error) from None

    def namespace(self) -> str:
        """Raises Forbidden, as the others do, where the token does not say, or is meant for many."""
        if self.claims.namespaces_sha256 is not None:
            raise Forbidden("The service token is meant for many namespaces.")
        return self._claimed("namespace", self.claims.namespace)

    def require_namespaces(self, shas: Sequence[str]) -> None:
        """Raises Forbidden where the token is not meant for just these sets of namespaces."""
        if self.claims.namespace is not None:
            raise Forbidden("The service token is meant for a single namespace.")
        claimed = self._claimed("namespaces_sha256", self.claims.namespaces_sha256)
        if not hmac.compare_digest(claimed, sha256_of(shas)):
            raise Forbidden("The service token is meant for other namespaces.")

    def require_person(self) -> None:
        self._claimed("user", self.claims.user)

    def require_person_and_bot(self) -> None:
        self._claimed("user", self.claims.user)
        self._claimed("bot", self.claims.bot)

    def require_nobody(self) -> None:
        """Raises Forbidden where the token speaks for somebody: what concerns all of them is asked by the operator."""
        if self.claims.user or self.claims.bot or self.claims.namespace or self.claims.namespaces_sha256:
            raise Forbidden("The service token is meant for a single user, bot or namespace.")

    @staticmethod
    def _claimed(name: str, value: T | None) -> T:
        if value is None:
            raise Forbidden("The service token names no " + name + ".", details={"claim": name})
        return value


async def service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


async def authenticated(request: Request, token: Annotated[str | None, Security(token_header)]) -> Call:
    gate: TokenGate = request.app.state.gate
    running: Service = request.app.state.service
    body = await _body(request, running.settings.request_limit_bytes, running.settings.request_body_seconds)
    claims = gate.admit(token, Signed(request.method, request.scope["path"], body))
    return Call(claims, body)


Authenticated = Annotated[Call, Depends(authenticated)]
Running = Annotated[Service, Depends(service)]


async def _body(request: Request, limit: int, seconds: float) -> bytes:
    """Raises BodyTooLarge before more than the limit is held, and BodyTimeout for a body that drips."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise BodyTooLarge(details={"limit_bytes": limit})
                parts.append(part)
    except TimeoutError as error:
        raise BodyTimeout from error
    return b"".join(parts)


def refusal(error: ValidationError) -> Forbidden | InvalidRequest:
    """Names fields and rules; what was sent is not repeated."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    for problem in problems:
        if problem["type"] == "extra_forbidden" and problem["loc"][0] in SCOPE_FIELDS:
            return Forbidden("User, bot and namespace are taken from the service token only.")
    details = {_place(problem["loc"]): problem["msg"] for problem in problems[:MOST_PROBLEMS]}
    return InvalidRequest(details={**details})


def _place(location: tuple[int | str, ...]) -> str:
    """A field's name may be the caller's own invention, of any length and with anything in it."""
    place = ".".join(str(part) for part in location) or "body"
    return place.encode("ascii", "replace").decode()[:100]
