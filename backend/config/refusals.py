"""What Django refuses by itself, each in the words of the door it was tried at."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, JsonResponse

from backend.core import api
from backend.mcp_server.refusals import error_object as mcp_error
from backend.openai_api.refusals import error_object as openai_error


def body_for(path: str, status: int, said: dict[str, Any]) -> dict[str, Any]:
    """`said` is the product's own error body."""
    if path.startswith("/v1/"):
        return openai_error(status=status, code=said["code"], message=said["message"])
    if path.startswith("/mcp/"):
        return mcp_error(code=said["code"], message=said["message"], request_id=said["request_id"])
    return said


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    if isinstance(exception, DisallowedHost) and request.path.startswith("/mcp/"):
        return _refusal(request, HTTPStatus.MISDIRECTED_REQUEST, "misdirected", "This server has another name.")
    return _refusal(request, HTTPStatus.BAD_REQUEST, "bad_request", "The request could not be understood.")


def server_error(request: HttpRequest) -> JsonResponse:
    """Never the exception's own words, which may carry a secret: the log has them under the request id."""
    return _refusal(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something failed on our side.")


def _refusal(request: HttpRequest, status: HTTPStatus, code: str, message: str) -> JsonResponse:
    return JsonResponse(body_for(request.path, status, api.error_body(code, message)), status=status)
