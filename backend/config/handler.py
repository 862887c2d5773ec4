"""Django under ASGI with one step into a thread per request.

Django's own handler takes a step for each hook of each synchronous middleware, about ten a request; here the whole
synchronous part (middleware, DRF, services) runs in one. What has to be awaited afterwards is a `Deferred`.
"""

from collections.abc import AsyncIterator, Iterator
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from backend.core import uploads
from backend.core.deferred import Deferred


class Handler(ASGIHandler):
    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002 - Django asks for the asynchronous chain
        super().load_middleware(is_async=False)

    async def read_body(self, receive: Any) -> IO[bytes]:
        """As Django's own, but for a body that finds no room on the disk: the rest of it is taken all the same, so that
        the client is there to be told, and the view learns of it where it reads."""
        body: IO[bytes] = uploads.spooled()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            body = uploads.kept(body, message.get("body", b""))
            more = message.get("more_body", False)
        body.seek(0)
        return body

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        response = await sync_to_async(self._answer)(request)
        if isinstance(response, Deferred):
            return await response.completed()
        if isinstance(response, StreamingHttpResponse) and not response.is_async:
            response.streaming_content = _from_thread(iter(response))
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, Deferred) and not connection.in_atomic_block:
            connection.close()  # a stream or a wait for a model follows: it holds no connection
        return response


async def _from_thread(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Block by block; Django itself would read the whole file into memory first, and say so in the log."""
    while (block := await sync_to_async(_next)(blocks)) is not None:
        yield block


def _next(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)
