"""One error body for the whole API: `{code, message, details, request_id}`."""

import logging
from http import HTTPStatus
from typing import Any

from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from backend.core import request_id
from backend.core.errors import CHALLENGE, ChatSphereError, NotFound

logger = logging.getLogger(__name__)


def error_body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message, "details": details or {}, "request_id": request_id.current.get()}


def exception_handler(exc: Exception, _context: dict[str, Any]) -> Response | None:
    """DRF's hook. None lets an unforeseen error rise to the last resort, in `config.refusals`."""
    domain = _as_domain_error(exc)
    if domain is not None:
        set_rollback()
        headers = {"Retry-After": str(domain.retry_after)} if domain.retry_after is not None else {}
        if domain.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = CHALLENGE
        return Response(error_body(domain.code, domain.message, domain.details), status=domain.status, headers=headers)
    if isinstance(exc, exceptions.APIException):
        set_rollback()
        return _from_drf(exc)
    return None


def _as_domain_error(exc: Exception) -> ChatSphereError | None:
    if isinstance(exc, ChatSphereError):
        return exc
    if isinstance(exc, Http404):
        return NotFound()
    return None


def _from_drf(exc: exceptions.APIException) -> Response:
    headers = {}
    if getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = exc.auth_header  # type: ignore[attr-defined]
    if getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(exc.wait))  # type: ignore[attr-defined]
    if isinstance(exc, exceptions.ValidationError):
        body = error_body("invalid", "Some fields are not valid; see details.", {"fields": exc.get_full_details()})
    else:
        codes = exc.get_codes()
        body = error_body(codes if isinstance(codes, str) else exc.default_code, str(exc.detail))
    return Response(body, status=exc.status_code, headers=headers)


def _refusal(status: HTTPStatus, code: str, message: str) -> JsonResponse:
    return JsonResponse(error_body(code, message), status=status)


def not_found() -> JsonResponse:
    return _refusal(HTTPStatus.NOT_FOUND, NotFound.code, NotFound().message)


def bad_request() -> JsonResponse:
    return _refusal(HTTPStatus.BAD_REQUEST, "bad_request", "The request could not be understood.")
