"""`/agents/process`: an answer over a WebSocket, whose caller may be asked for tools on the way.

The first message is the request; the token of the handshake is bound to it, and a first message that it does not fit is
refused like any other. A caller who leaves ends the work, and with it the model's.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ValidationError
from starlette.websockets import WebSocketDisconnect

from agent_service.api.dependencies import Call, refusal
from agent_service.api.refusals import error_body, unforeseen
from agent_service.api.streaming import FRAMES_AHEAD, name_of, stopped
from agent_service.api.tokens import Signed, TokenGate
from agent_service.contract import TOKEN_HEADER, ErrorBody, Frame, ProcessRequest, ToolResult
from agent_service.errors import AgentServiceError, BodyTimeout, BodyTooLarge, InvalidRequest
from agent_service.pipeline.agents.stepping import ProcessEvent, Results
from agent_service.pipeline.service import Service

log = logging.getLogger(__name__)

REFUSED = 1008
"""How the connection is closed after an error; after `done` it is closed as usual."""

router = APIRouter()


@router.websocket("/agents/process")
async def process(socket: WebSocket) -> None:
    running: Service = socket.app.state.service
    await socket.accept()
    line = _Line(socket, heartbeat=running.settings.agent_heartbeat_seconds)
    try:
        call = await _admitted(socket, running)
        request = call.read(ProcessRequest)
        call.require_person_and_bot()
        results = Results()
        events = running.process(request, results=results, budget=call.claims.max_output_tokens)
    except WebSocketDisconnect:
        return
    except AgentServiceError as error:
        await line.refuse(error)
        return
    await line.serve(events, results, patience=running.settings.agent_reader_seconds)


async def _admitted(socket: WebSocket, running: Service) -> Call:
    gate: TokenGate = socket.app.state.gate
    settings = running.settings
    try:
        async with asyncio.timeout(settings.request_body_seconds):
            body = await _message(socket)
    except TimeoutError as error:
        raise BodyTimeout from error
    if len(body) > settings.request_limit_bytes:
        raise BodyTooLarge(details={"limit_bytes": settings.request_limit_bytes})
    claims = gate.admit(socket.headers.get(TOKEN_HEADER), Signed("GET", socket.scope["path"], body))
    return Call(claims, body)


async def _message(socket: WebSocket) -> bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text = message.get("text")
    return text.encode("utf-8", "replace") if text is not None else bytes(message.get("bytes") or b"")


class _Line:
    """One caller: frames go out in order, one at a time; results come in while they do."""

    def __init__(self, socket: WebSocket, *, heartbeat: float) -> None:
        self._socket = socket
        self._heartbeat = heartbeat
        self._frames: asyncio.Queue[str | None] = asyncio.Queue(FRAMES_AHEAD)
        self._failed = False

    async def refuse(self, error: AgentServiceError) -> None:
        try:
            await self._socket.send_text(_frame(error_body(error)))
            await self._socket.close(REFUSED)
        except (WebSocketDisconnect, RuntimeError):
            log.info("A caller left before the refusal")

    async def serve(self, events: AsyncGenerator[ProcessEvent, None], results: Results, *, patience: float) -> None:
        maker = asyncio.create_task(self._make(events))
        sender = asyncio.create_task(self._send(patience))
        listener = asyncio.create_task(self._listen(results, maker))
        try:
            await asyncio.wait((sender, listener), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await stopped((maker, sender, listener))

    async def _make(self, events: AsyncGenerator[ProcessEvent, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    await self._frames.put(_frame(event))
        except AgentServiceError as error:
            await self._fail(error_body(error))
        except Exception:  # the last resort: whatever happened, the caller is told that it ended
            log.exception("An answer failed in an unforeseen way")
            await self._fail(unforeseen())
        await self._frames.put(None)

    async def _fail(self, body: ErrorBody) -> None:
        self._failed = True
        await self._frames.put(_frame(body))

    async def _send(self, patience: float) -> None:
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    frame = await self._frames.get()
            except TimeoutError:
                frame = _HEARTBEAT
            async with asyncio.timeout(patience):
                if frame is None:
                    await self._socket.close(REFUSED if self._failed else 1000)
                    return
                await self._socket.send_text(frame)

    async def _listen(self, results: Results, maker: "asyncio.Task[None]") -> None:
        """Returns when the caller has left. What is no result of a tool that was called ends the answer."""
        while True:
            try:
                body = await _message(self._socket)
            except (WebSocketDisconnect, RuntimeError):
                return
            try:
                results.give(_result(body))
            except AgentServiceError as error:
                await stopped((maker,))
                await self._fail(error_body(error))
                await self._frames.put(None)


def _result(body: bytes) -> ToolResult:
    try:
        frame = Frame.model_validate_json(body)
        if frame.event != "tool_result":
            raise InvalidRequest("After the request, only results of tools are sent.", details={"event": "tool_result"})
        return ToolResult.model_validate(frame.data)
    except ValidationError as error:
        raise refusal(error) from None


def _frame(event: BaseModel) -> str:
    """In ASCII, as everywhere else."""
    return f'{{"event":"{name_of(event)}","data":{event.model_dump_json(ensure_ascii=True)}}}'


_HEARTBEAT = '{"event":"heartbeat","data":{}}'
