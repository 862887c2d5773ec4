from typing import Final
from uuid import UUID

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from backend.core.errors import CHALLENGE
from backend.core.prepared import Query
from backend.users import api_keys
from backend.users.models import ApiKey, Session, User
from backend.users.tokens import InvalidAccessToken, read_access

SCHEME: Final = "bearer"
KEY_HEADERS: Final = ("X-API-Key", "Api-Key")


_LIVE_SESSION: Query[Session] = Query(
    lambda session, user: Session.objects.live().filter(pk=session, user_id=user).select_related("user"),
    session=UUID,
    user=UUID,
)


class CredentialAuthentication(BaseAuthentication):
    """An access token or an API key, whichever header brings it: `Authorization: Bearer …`, `X-API-Key: …` or
    `Api-Key: …`. One query; what was revoked is refused at once. `request.auth` is the Session or the ApiKey."""

    def authenticate(self, request: Request) -> tuple[User, Session | ApiKey] | None:
        credential = credential_of(request)
        if credential is None:
            return None
        found = api_keys.find(credential) if api_keys.is_api_key(credential) else _session_of(credential)
        if found is None:
            raise _refused()
        return found.user, found

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return CHALLENGE


def credential_of(request: Request) -> str | None:
    """What the request brings, in the one place that reads it. Two that differ are refused: which one was meant?"""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    brought = {request.headers[name] for name in KEY_HEADERS if name in request.headers}
    if scheme.lower() == SCHEME:
        brought.add(token)
    if len(brought) > 1:
        raise _refused()
    return next(iter(brought), None)


def _session_of(token: str) -> Session | None:
    try:
        claims = read_access(token)
    except InvalidAccessToken:
        return None
    return _LIVE_SESSION.first(session=claims.sid, user=claims.sub)


def _refused() -> AuthenticationFailed:
    """One answer for every reason: a forger learns nothing from it."""
    return AuthenticationFailed("The access token or API key is not valid or has expired.", code="invalid_token")
