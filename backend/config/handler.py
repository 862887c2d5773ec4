"""Django under ASGI with one step into a thread per request.

Django's own handler takes a step for each hook of each synchronous middleware, for both signals and for closing the
response, about a dozen a request, and starts a thread for them; here the whole synchronous part (signals, middleware,
DRF, services) runs in one, in a thread that is kept. What has to be awaited afterwards is a `Deferred`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix

from backend.core import uploads
from backend.core.deferred import Deferred

logger = logging.getLogger(__name__)

THREADS = 200
"""At most, started as they are needed: a view that waits for the agent holds one, and none may wait for another."""


class Handler(ASGIHandler):
    def __init__(self) -> None:
        super().__init__()
        threads = ThreadPoolExecutor(THREADS, "request")
        self._answered = sync_to_async(self._answer, thread_sensitive=False, executor=threads)

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002 - Django asks for the asynchronous chain
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As Django's own, without a thread for this request alone."""
        await self.handle(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """As Django's own, which sends the signals and closes the response in further steps into the thread."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        try:
            set_script_prefix(get_script_prefix(scope))
            request, refusal = self.create_request(scope, body)
            if request is None:
                await self.send_response(refusal, send)  # type: ignore[arg-type]  # one of the two is there
            else:
                await self._served(request, receive, send)
        finally:
            body.close()

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
        response: HttpResponseBase = await self._answered(request)
        if isinstance(response, Deferred):
            return await response.completed()
        if isinstance(response, StreamingHttpResponse) and not response.is_async:
            response.streaming_content = _from_thread(iter(response))
        return response

    async def _served(self, request: HttpRequest, receive: Any, send: Any) -> None:
        """Until the answer is sent or the client has left, which cancels what is still awaited."""
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        work = asyncio.create_task(self._respond(request, send))
        try:
            await asyncio.wait((leaving, work), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            work.cancel()
            await asyncio.wait((leaving, work))
        if not work.cancelled():
            work.result()

    async def _respond(self, request: HttpRequest, send: Any) -> None:
        response = await self.run_get_response(request)
        try:
            if response.streaming:
                await self._stream(response, send)
            else:
                await self.send_response(response, send)
        finally:
            if not response.closed:
                response.close()

    async def _stream(self, response: HttpResponseBase, send: Any) -> None:
        """Up to its end, or until the reader takes nothing for STREAM_READER."""
        loop, seconds = asyncio.get_running_loop(), settings.STREAM_READER.total_seconds()
        try:
            async with asyncio.timeout(None) as patience:

                async def sent(message: Any) -> None:
                    patience.reschedule(loop.time() + seconds)
                    await send(message)
                    patience.reschedule(None)

                await self.send_response(response, sent)
        except TimeoutError:
            logger.info("a reader who took nothing for %s was given up", settings.STREAM_READER)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        signals.request_started.send(sender=self.__class__, scope=request.scope)  # type: ignore[attr-defined]
        response = self.get_response(request)
        if isinstance(response, Deferred) or response.streaming:
            if not connection.in_atomic_block:
                connection.close()  # a stream or a wait for a model follows: it holds no connection
        else:
            response._handler_class = self.__class__  # type: ignore[attr-defined]  # noqa: SLF001 - as Django's own does
            response.close()
        return response


async def _from_thread(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Block by block, in one thread; Django itself would read the whole file into memory first, and say so in the
    log."""
    async with ThreadSensitiveContext():
        try:
            while (block := await sync_to_async(_next)(blocks)) is not None:
                yield block
        finally:
            await sync_to_async(close_old_connections)()


def _next(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)
