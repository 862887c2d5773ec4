"""One id per request, in every log line, error body and call to the agent."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from logging import Filter, LogRecord

from django.http import HttpRequest, HttpResponseBase

from backend.core.ids import uuid7

HEADER = "X-Request-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")

current: ContextVar[str] = ContextVar("request_id", default="-")


def request_id_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Takes a well-formed X-Request-ID from the caller, else makes one, and returns it with the response."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        request_id = given if _ACCEPTED.fullmatch(given) else str(uuid7())
        current.set(request_id)
        response = get_response(request)
        response[HEADER] = request_id
        return response

    return middleware


class RequestIdFilter(Filter):
    def filter(self, record: LogRecord) -> bool:
        record.request_id = current.get()
        return True
