"""The service token: signed by the backend, bound to one request, short-lived, and good once."""

import hashlib
import heapq
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import jwt
from pydantic import ValidationError

from agent_service.contract import TOKEN_MAX_SECONDS, Claims
from agent_service.errors import Overloaded, Unauthenticated

LONGEST_TOKEN = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a token must be bound to."""

    method: str
    path: str
    body: bytes


class UsedTokens:
    """The ids of used tokens that have not expired. Full means refuse: forgetting one would let it in again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: set[str] = set()
        self._by_expiry: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._ids)

    def use(self, token_id: str, expires: float, now: float) -> bool:
        """Whether this is the first use. Raises Overloaded."""
        while self._by_expiry and self._by_expiry[0][0] < now:
            self._ids.discard(heapq.heappop(self._by_expiry)[1])
        if token_id in self._ids:
            return False
        if len(self._ids) >= self._most:
            raise Overloaded(retry_after=1)
        self._ids.add(token_id)
        heapq.heappush(self._by_expiry, (expires, token_id))
        return True


@dataclass(frozen=True, slots=True)
class TokenGate:
    key: str
    leeway: int
    used: UsedTokens
    clock: Callable[[], float] = time.time
    _signatures: jwt.PyJWS = field(default_factory=lambda: jwt.PyJWS(algorithms=["HS256"]))

    def admit(self, token: str | None, signed: Signed) -> Claims:
        """Raises Unauthenticated. A token is used up only by the request it was made for."""
        claims = self._verified(token)
        now = self.clock()
        if claims.exp - claims.iat > TOKEN_MAX_SECONDS or claims.exp <= claims.iat:
            raise _refused("lifetime")
        if claims.iat > now + self.leeway:
            raise _refused("not_yet_valid")
        if claims.exp <= now:
            raise _refused("expired")
        if not _same(claims.body, hashlib.sha256(signed.body).hexdigest()):
            raise _refused("other_body")
        if not (_same(claims.method, signed.method) and _same(claims.path, signed.path)):
            raise _refused("other_request")
        if not self.used.use(claims.jti, claims.exp, now):
            raise _refused("replayed")
        return claims

    def _verified(self, token: str | None) -> Claims:
        """By signature first (PyJWT compares in constant time), then the claims in their exact types."""
        if not token:
            raise _refused("missing")
        if len(token) > LONGEST_TOKEN:
            raise _refused("invalid")
        try:
            payload = self._signatures.decode(token, self.key, algorithms=["HS256"])
            claims = Claims.model_validate_json(payload, strict=True)
        except (jwt.PyJWTError, ValidationError, ValueError, TypeError, RecursionError) as error:
            # Odd headers reach PyJWT before the signature is looked at: whatever it raises, the token is of no use.
            raise _refused("invalid") from error
        if claims.namespace is not None and _CONTROL.search(claims.namespace):
            raise _refused("invalid")
        return claims


def _same(claimed: str, actual: str) -> bool:
    return hmac.compare_digest(claimed.encode("utf-8", "replace"), actual.encode("utf-8", "replace"))


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(details={"reason": reason})
