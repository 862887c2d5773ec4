"""What a client holds: an access token (JWT, minutes) and a refresh token (opaque, days, used once)."""

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.core import jws
from backend.users.models import RefreshToken

ISSUER: Literal["chatsphere"] = "chatsphere"
AUDIENCE: Literal["chatsphere-api"] = "chatsphere-api"
MAX_LENGTH = 1024  # ours have about 420 characters


class InvalidAccessToken(Exception):
    """Not an access token of ours, or too old."""


class Claims(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    iss: Literal["chatsphere"] = ISSUER
    aud: Literal["chatsphere-api"] = AUDIENCE
    typ: Literal["access"] = "access"
    sub: UUID
    sid: UUID
    jti: UUID
    iat: int = Field(ge=0, lt=2**53)
    exp: int = Field(ge=0, lt=2**53)


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: str
    refresh: str
    expires_in: int  # seconds until the access token expires


def write_access(claims: Claims) -> str:
    return jws.written(claims.model_dump_json().encode(), settings.JWT_SIGNING_KEY)


def read_access(token: str) -> Claims:
    """The claims of a token that `write_access` wrote, letter for letter, and that has not expired.

    Raises InvalidAccessToken, whatever the text. Whether its session still lives is the database's to say.
    """
    if len(token) > MAX_LENGTH or not token.isascii():
        raise InvalidAccessToken
    try:
        claims = Claims.model_validate_json(jws.read(token, settings.JWT_SIGNING_KEY))
    except (jws.InvalidToken, ValidationError) as exc:
        raise InvalidAccessToken from exc
    # Writing it again refuses what could be read in two ways: a claim given twice, a default left out, spare bits.
    if not hmac.compare_digest(write_access(claims), token) or claims.exp <= time.time():
        raise InvalidAccessToken
    return claims


def new_refresh() -> str:
    return secrets.token_urlsafe(32)


def successor_of(refresh: str) -> str:
    """The one token that `refresh` may be exchanged for.

    Derived and not drawn, so that callers racing with one token all compute the same answer and nobody stores it.
    """
    digest = hmac.digest(settings.JWT_SIGNING_KEY.encode(), b"refresh successor\n" + refresh.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_of(refresh: str) -> str:
    return hashlib.sha256(refresh.encode()).hexdigest()


def pair(*, row: RefreshToken, refresh: str) -> TokenPair:
    """A pure function of the row and its token: whoever asks again gets the same letters."""
    issued = int(row.created_at.timestamp())
    expires = issued + int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    claims = Claims(sub=row.session.user_id, sid=row.session_id, jti=row.pk, iat=issued, exp=expires)
    return TokenPair(access=write_access(claims), refresh=refresh, expires_in=max(0, expires - int(time.time())))
