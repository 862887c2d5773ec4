"""What the failures of all vendors have in common: what may be seen of them, and how long they ask us to wait."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import SecretStr

from agent_service.errors import Kind

VISIBLE_CHARACTERS = 300

_KINDS: dict[int, Kind] = {
    401: "unauthorised",
    403: "unauthorised",
    408: "timeout",
    429: "rate_limited",
    504: "timeout",
}


class VendorFault(Exception):
    """The cause of an UpstreamError: a vendor's exception by its type and its first words, with the keys taken out.

    Not the exception itself, because some repeat the request or a whole answer of megabytes, and a log shows causes.
    """

    def __init__(self, error: BaseException, secrets: Sequence[SecretStr]) -> None:
        text = str(error)[: 100 * VISIBLE_CHARACTERS]
        for secret in filter(None, (secret.get_secret_value() for secret in secrets)):
            text = text.replace(secret, "[key]")
        if len(text) > VISIBLE_CHARACTERS:
            text = f"{text[:VISIBLE_CHARACTERS]} […]"
        super().__init__(f"{type(error).__module__}.{type(error).__qualname__}: {text}")


def kind_of(status: int) -> Kind:
    """Of an HTTP status that is not a success; a redirect is an answer that cannot be read."""
    if status in _KINDS:
        return _KINDS[status]
    if status >= 500:
        return "unavailable"
    return "rejected" if status >= 400 else "garbage"


def seconds_to_wait(retry_after: object) -> float | None:
    """A Retry-After header in either form (RFC 9110, 10.2.3) as seconds from now; None where it says nothing
    usable."""
    if not isinstance(retry_after, str):
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _until(retry_after)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(date: str) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
