"""What becomes of a page that cannot be had."""

from datetime import timedelta
from http import HTTPStatus
from typing import NamedTuple

from backend.documents.extraction import ExtractionFailed
from backend.documents.failures import FAILURES
from backend.fetching import FetchFailed
from backend.sources.connectors import Run, SyncPostponed

PATIENCE = 5  # times that a server is waited for at the same page
PAUSE = timedelta(minutes=1)
ROBOTS = "robots_disallowed"
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_NEXT_TIME = "It is tried again with the next sync."
_LOOK = "Open the address in a browser where nobody is signed in: what is shown there can be read."


class Told(NamedTuple):
    code: str
    message: str
    hint: str = ""


def told(exc: FetchFailed | ExtractionFailed) -> Told:
    if isinstance(exc, ExtractionFailed):
        return Told(exc.code, FAILURES[exc.code].message)
    if exc.code == ROBOTS:
        return Told(exc.code, exc.message, "Ask whoever runs the site.")
    if exc.passing:
        return Told(exc.code, exc.message, _NEXT_TIME)
    return Told(exc.code, exc.message, _LOOK if exc.answered else "")


def is_gone(exc: FetchFailed) -> bool:
    """Whether the site itself says that there is no such page of it."""
    return exc.answered in _GONE or exc.code == "redirect_refused"


def be_patient(run: Run, exc: FetchFailed) -> None:
    """A server that asks for patience gets it, up to a point. Raises SyncPostponed."""
    asked = exc.answered == HTTPStatus.TOO_MANY_REQUESTS or (
        exc.answered == HTTPStatus.SERVICE_UNAVAILABLE and exc.retry_after is not None
    )
    if asked and run.source.failures < PATIENCE:
        delay = PAUSE if exc.retry_after is None else timedelta(seconds=max(1, exc.retry_after))
        raise SyncPostponed(delay, exc.code, exc.message, "It goes on by itself.") from exc
