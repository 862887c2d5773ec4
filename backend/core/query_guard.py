"""Refuses what PostgreSQL could not compare: a NUL in path or query, before any view turns it into a 500."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from backend.core.api import bad_request


def query_guard_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return bad_request()
        return get_response(request)

    return middleware
