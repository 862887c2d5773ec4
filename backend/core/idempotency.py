"""`Idempotency-Key`: the same key and body replay the first answer, the same key and another body are refused."""

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backend.core.errors import IdempotencyKeyInvalid, IdempotencyKeyReused, RequestInProgress
from backend.core.models import IdempotencyRecord

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
"""A header too: this is the first answer again."""


class ShownOnce(Response):
    """Its body holds a secret that is stored nowhere in the clear: a repetition is answered with `kept` instead."""

    def __init__(self, data: Any, *, kept: Any, status: int) -> None:
        super().__init__(data, status=status)
        self.kept = kept


def key_of(request: Request) -> str | None:
    """The request's key, or None where the client sent none; raises IdempotencyKeyInvalid."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise IdempotencyKeyInvalid
    return key


def fingerprint_of(request: Request) -> str:
    """sha256 (hex) of method, path and what was sent; of an uploaded file its name and content."""
    digest = hashlib.sha256(f"{request.method}\n{request.path}\n".encode())
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            digest.update(f"{name}\n{file.name}\n{file.size}\n".encode())
            for block in file.chunks():
                digest.update(block)
            file.seek(0)
    data: Any = request.data
    if hasattr(data, "keys"):
        data = sorted((name, repr(data[name])) for name in data if name not in request.FILES)
    digest.update(repr(data).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def idempotent(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Make a DRF handler that creates something repeatable.

    Effect and record share one transaction: a crash leaves both or neither. While the first request runs, a second
    with its key gets 409 `in_progress`. Errors are not recorded: nothing happened, so the request may be tried again.
    """

    @functools.wraps(handler)
    def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = key_of(request)
        if key is None:
            return handler(view, request, *args, **kwargs)
        user: Any = request.user
        fingerprint = fingerprint_of(request)
        with transaction.atomic():
            _lock(user_id=user.pk, key=key)
            record = IdempotencyRecord.objects.filter(user=user, key=key).first()
            if record is not None:
                return _replay(record, fingerprint)
            response = handler(view, request, *args, **kwargs)
            body = response.kept if isinstance(response, ShownOnce) else response.data
            IdempotencyRecord.objects.create(
                user=user, key=key, fingerprint=fingerprint, status=response.status_code, body=_plain(body)
            )
        return response

    return wrapped


def _lock(*, user_id: object, key: str) -> None:
    number = int.from_bytes(hashlib.sha256(f"{user_id}\n{key}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        if not cursor.fetchone()[0]:
            raise RequestInProgress(retry_after=1)


def _replay(record: IdempotencyRecord, fingerprint: str) -> Response:
    if record.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return Response(record.body, status=record.status, headers={REPLAYED: "true"})


def _plain(data: Any) -> Any:
    """What the client gets to see: dates and ids as the strings that JSON carries."""
    return json.loads(JSONRenderer().render(data))
