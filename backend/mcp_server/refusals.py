"""What the product refuses before a message was understood, as this protocol's clients read it."""

from typing import Any

from mcp_types.jsonrpc import INVALID_REQUEST, PARSE_ERROR
from rest_framework.response import Response

from backend.core import api


def error_object(*, code: str, message: str, request_id: str) -> dict[str, Any]:
    number = PARSE_ERROR if code == "parse_error" else INVALID_REQUEST
    error = {"code": number, "message": message, "data": {"code": code, "request_id": request_id}}
    return {"jsonrpc": "2.0", "id": None, "error": error}


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """The product's one handler, its body in the other shape."""
    response = api.exception_handler(exc, context)
    if response is None:
        return None
    body = response.data
    response.data = error_object(code=body["code"], message=body["message"], request_id=body["request_id"])
    return response
