from http import HTTPStatus

from backend.core.errors import ChatSphereError, NotFound


class OriginRefused(ChatSphereError):
    """Pages of that origin may not talk to this server."""

    status = HTTPStatus.FORBIDDEN
    code = "origin_refused"


class SessionNotFound(NotFound):
    """There is no such session, or it is not yours; begin a new one."""

    code = "session_not_found"
