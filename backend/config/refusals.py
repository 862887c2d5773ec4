"""What Django refuses by itself, each in the words of the door it was tried at: to a browser that is a page."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from backend.core import api
from backend.core.errors import NotFound
from backend.mcp_server.refusals import error_object as mcp_error
from backend.openai_api.refusals import error_object as openai_error

PROGRAMS = ("/api/v1/", "/v1/", "/mcp/")
"""What begins with these is for programs, though a browser may ask."""


def body_for(path: str, status: int, said: dict[str, Any]) -> dict[str, Any]:
    """`said` is the product's own error body."""
    if path.startswith("/v1/"):
        return openai_error(status=status, code=said["code"], message=said["message"])
    if path.startswith("/mcp/"):
        return mcp_error(code=said["code"], message=said["message"], request_id=said["request_id"])
    return said


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, DisallowedHost) and request.path.startswith("/mcp/"):
        return _refusal(request, HTTPStatus.MISDIRECTED_REQUEST, "misdirected", "This server has another name.")
    return _refusal(request, HTTPStatus.BAD_REQUEST, "bad_request", "The request could not be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - what Django calls
    return _refusal(request, HTTPStatus.FORBIDDEN, "forbidden", "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return _refusal(request, HTTPStatus.NOT_FOUND, NotFound.code, NotFound().message)


def server_error(request: HttpRequest) -> HttpResponse:
    """Never the exception's own words, which may carry a secret: the log has them under the request id."""
    return _refusal(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something failed on our side.")


def _refusal(request: HttpRequest, status: HTTPStatus, code: str, message: str) -> HttpResponse:
    said = api.error_body(code, message)
    if request.path.startswith(PROGRAMS):
        return JsonResponse(body_for(request.path, status, said), status=status)
    response: HttpResponse
    if "text/html" in request.headers.get("Accept", ""):
        response = HttpResponse(render_to_string("refused.html", said), status=status)
        response["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    else:
        response = JsonResponse(said, status=status)
    patch_vary_headers(response, ["Accept"])
    return response
