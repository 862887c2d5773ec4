"""Every error as the contract's one body. What was not foreseen is logged and says nothing about itself."""

import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent_service.api.request_id import current_request_id
from agent_service.contract import REQUEST_ID_HEADER, ErrorBody
from agent_service.errors import AgentServiceError, InvalidRequest, MethodNotAllowed, NotFound

_HTTP_ERRORS: dict[int, type[AgentServiceError]] = {404: NotFound, 405: MethodNotAllowed}


def install(app: FastAPI) -> None:
    app.add_exception_handler(AgentServiceError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(Exception, _last_resort)


def error_body(error: AgentServiceError) -> ErrorBody:
    return error.body(current_request_id())


def unforeseen() -> ErrorBody:
    return error_body(AgentServiceError())


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document of a route."""
    return {status: {"model": ErrorBody} for status in statuses}


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AgentServiceError)  # noqa: S101 - registered for this class only
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after is not None else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "ServiceToken"
    return _response(error.status, error_body(error), headers)


async def _refuse_http(_: Request, error: Exception) -> JSONResponse:
    """404 and 405 of the router, and whatever else the framework itself refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    refusal = _HTTP_ERRORS.get(error.status_code, InvalidRequest)()
    return _response(error.status_code, error_body(refusal), dict(error.headers or {}))


async def _last_resort(_: Request, __: Exception) -> JSONResponse:
    """The server logs the exception after this answer."""
    return _response(500, unforeseen(), {})


def _response(status: int, body: ErrorBody, headers: dict[str, str]) -> JSONResponse:
    # The last resort answers outside the middleware that adds the id.
    return JSONResponse(
        body.model_dump(), status, headers={**headers, REQUEST_ID_HEADER: body.request_id, "Cache-Control": "no-store"}
    )
