from typing import Final

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from backend.core.errors import CHALLENGE
from backend.users.models import Session, User
from backend.users.tokens import InvalidAccessToken, read_access

SCHEME: Final = "bearer"


class AccessTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`, one query; a revoked session is refused at once. `request.auth` is the Session."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        try:
            claims = read_access(token)
        except InvalidAccessToken as exc:
            raise _refused() from exc
        session = Session.objects.live().filter(pk=claims.sid, user_id=claims.sub).select_related("user").first()
        if session is None:
            raise _refused()
        return session.user, session

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return CHALLENGE


def _refused() -> AuthenticationFailed:
    """One answer for every reason: a forger learns nothing from it."""
    return AuthenticationFailed("The access token is not valid or has expired.", code="invalid_token")
