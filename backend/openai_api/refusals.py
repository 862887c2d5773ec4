"""Errors in the shape that OpenAI's clients read: `{"error": {message, type, param, code}}`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from rest_framework.response import Response

from backend.bots.errors import BotNotFound, EmbeddingUnknown
from backend.core import api
from backend.openai_api.errors import ModelNotFound

_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_TYPES_OF_CODES = {"not_enough_credits": "insufficient_quota"}


def error_object(*, status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    type_ = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    kind = _TYPES_OF_CODES.get(code) or _TYPES.get(HTTPStatus(status), type_)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """The product's one handler, its body in the other shape."""
    if isinstance(exc, BotNotFound):
        exc = ModelNotFound()
    elif isinstance(exc, EmbeddingUnknown):
        exc = ModelNotFound("There is no such embedding here. GET /api/v1/gateway/models/ lists those there are.")
    response = api.exception_handler(exc, context)
    if response is None:
        return None
    body = response.data
    fields = body["details"].get("fields")
    param, said = _first(fields) if fields else (body["details"].get("param"), "")
    message = said or body["message"]
    response.data = error_object(status=response.status_code, code=body["code"], message=message, param=param)
    return response


def _first(errors: Any, place: str = "") -> tuple[str, str]:
    """The first complaint of DRF's nested ones: its place, as OpenAI names places, and its words."""
    if isinstance(errors, Mapping) and "message" in errors and "code" in errors:
        return place, str(errors["message"])
    if isinstance(errors, Mapping):
        name, inner = next(iter(errors.items()))
        step = f"[{name}]" if isinstance(name, int) else f".{name}" if place else str(name)
        return _first(inner, place if name == "non_field_errors" else place + step)
    return _first(errors[0], place)
