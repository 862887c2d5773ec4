"""The one base of every error a client may see."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

CHALLENGE = 'Bearer realm="chatsphere"'  # the WWW-Authenticate of every 401


class ChatSphereError(Exception):
    """Something went wrong."""

    status: int = HTTPStatus.BAD_REQUEST
    code: str = "bad_request"

    def __init__(
        self, message: str | None = None, *, details: Mapping[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        """`message` defaults to the class docstring; `retry_after`, in seconds, becomes the header of that name."""
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = dict(details or {})
        self.retry_after = retry_after
        super().__init__(self.message)


class NotFound(ChatSphereError):
    """There is nothing here, or it is not yours to see."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(ChatSphereError):
    """The state of the object does not allow this."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class IdempotencyKeyReused(ChatSphereError):
    """This Idempotency-Key was used before with another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"


class IdempotencyKeyInvalid(ChatSphereError):
    """Idempotency-Key must be 1 to 200 visible ASCII characters."""

    code = "idempotency_key_invalid"


class RequestInProgress(ChatSphereError):
    """A request with this Idempotency-Key is still running."""

    status = HTTPStatus.CONFLICT
    code = "in_progress"


class TooManyRequests(ChatSphereError):
    """Too many requests."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"

    def __init__(self, seconds: int, *, details: Mapping[str, Any]) -> None:
        """`seconds` until the next is taken."""
        message = f"Too many requests; try again in {_in_words(seconds)}."
        super().__init__(message, details={**details, "retry_after": seconds}, retry_after=seconds)


def _in_words(seconds: int) -> str:
    """Never less than it is."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{-(-seconds // length)} {unit}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
