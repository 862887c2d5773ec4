"""The most a request may send. Django keeps the whole body before any view runs, so the limit stands before it."""

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings

from backend.config.refusals import body_for
from backend.core.ids import uuid7

Application = Callable[[Any, Any, Any], Awaitable[None]]

FRAMING_BYTES = 1024 * 1024  # of a multipart body, beside the file


def with_body_limit(application: Application) -> Application:
    """413 with our error body: at once where Content-Length says it, else as soon as more has come."""

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        limit = _limit_of(scope)
        if _announced(scope) > limit + FRAMING_BYTES:
            await _refuse(scope, send, limit)
            return
        received = 0

        async def counted() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            # To Django it looks as if the client had left: it throws away what it has and answers nothing.
            return {"type": "http.disconnect"} if received > limit + FRAMING_BYTES else message

        await application(scope, counted, send)
        if received > limit + FRAMING_BYTES:
            await _refuse(scope, send, limit)

    return limited


def _limit_of(scope: Any) -> int:
    """Files are kept on disk while they come in, and one request may carry many; everything else is kept in memory."""
    multipart = dict(scope["headers"]).get(b"content-type", b"").startswith(b"multipart/")
    limit: int = settings.UPLOAD_REQUEST_LIMIT_BYTES if multipart else settings.UPLOAD_LIMIT_BYTES
    return limit


def _announced(scope: Any) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() and len(length) < 20 else 0


async def _refuse(scope: Any, send: Any, limit: int) -> None:
    said = {
        "code": "too_large",
        "message": "The request is larger than this server takes.",
        "details": {"limit_bytes": limit},
        "request_id": str(uuid7()),
    }
    body = body_for(scope["path"], HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
