"""Session ids that say whose they are. Nothing is kept for a session: every request is authenticated by itself."""

from django.core import signing

from backend.core.ids import uuid7
from backend.mcp_server.errors import SessionNotFound
from backend.users.models import User

HEADER = "Mcp-Session-Id"
LIFETIME_SECONDS = 24 * 60 * 60
_SALT = "mcp session"


def new(user: User) -> str:
    """Visible ASCII, as the protocol wants it."""
    return signing.dumps({"user": str(user.pk), "id": uuid7().hex}, salt=_SALT)


def check(session_id: str, user: User) -> None:
    """Raises SessionNotFound alike for one that is made up, too old, or somebody else's."""
    try:
        claims = signing.loads(session_id, salt=_SALT, max_age=LIFETIME_SECONDS)
    except signing.BadSignature:
        raise SessionNotFound from None
    if claims["user"] != str(user.pk):
        raise SessionNotFound
