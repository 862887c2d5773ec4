"""One client's connection: frames (TCP full transport), messages, containers, acknowledgements, salts."""

import asyncio
import struct
import time
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from telethon.crypto import AuthKey
from telethon.extensions import BinaryReader
from telethon.tl import functions, types
from telethon.tl.alltlobjects import LAYER
from telethon.tl.core import GzipPacked, MessageContainer, RpcResult

from tests.emulators.telegram import envelope
from tests.emulators.telegram.envelope import Message
from tests.emulators.telegram.exchange import KeyExchange, Refused
from tests.emulators.telegram.faults import RpcFault, rpc_fault
from tests.emulators.telegram.login import Login

_UNKNOWN_KEY = struct.pack("<i", -404)
_BAD_SALT = 48
_VECTOR, _TRUE, _FALSE = 0x1CB5C415, 0x997275B5, 0xBC799737


class Dropped(Exception):
    """The script says to close the connection, after sending `rest`."""

    def __init__(self, rest: bytes = b"") -> None:
        super().__init__()
        self.rest = rest


@dataclass(slots=True)
class Session:
    """What the data centre keeps for an authorization key."""

    key: AuthKey
    login: Login = field(default_factory=Login)
    salt: int = field(default_factory=lambda: time.time_ns() >> 8)
    seen: set[int] = field(default_factory=set)  # the client's own session numbers


class Connection:
    """`centre` is a `server.TelegramEmulator`."""

    def __init__(self, centre: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._centre = centre
        self._reader, self._writer = reader, writer
        self._exchange = KeyExchange(centre.learn)
        self._sent = 0
        self._last_id = 0
        self._sequence = 0
        self._half = False

    async def serve(self) -> None:
        try:
            while True:
                packet = await self._packet()
                for answer in self._answers(packet):
                    self._send(answer)
                    await self._writer.drain()
        except Dropped as exc:
            self._writer.write(exc.rest)
        except (asyncio.IncompleteReadError, ConnectionError, Refused, envelope.Forged):
            pass
        finally:
            self._writer.close()

    async def _packet(self) -> bytes:
        head = await self._reader.readexactly(8)
        length, _number = struct.unpack("<ii", head)
        rest = await self._reader.readexactly(length - 8)
        if struct.unpack("<I", rest[-4:])[0] != crc32(head + rest[:-4]):
            raise ConnectionError
        return rest[:-4]

    def _send(self, packet: bytes) -> None:
        frame = struct.pack("<ii", len(packet) + 12, self._sent) + packet
        frame += struct.pack("<I", crc32(frame))
        self._sent += 1
        if self._half:
            raise Dropped(frame[: len(frame) // 2])
        self._writer.write(frame)

    def _answers(self, packet: bytes) -> list[bytes]:
        key_id = struct.unpack_from("<Q", packet)[0]
        if key_id == 0:
            with BinaryReader(packet[20:]) as reader:
                body = bytes(self._exchange.answer(reader.tgread_object()))
            return [struct.pack("<qqi", 0, self._next_id(), len(body)) + body]
        session = self._centre.session(key_id)
        if session is None:
            return [_UNKNOWN_KEY]
        message = envelope.opened(packet, session.key)
        return self._replies(session, message)

    def _replies(self, session: Session, message: Message) -> list[bytes]:
        if message.salt != session.salt:
            notice = types.BadServerSalt(message.id, message.sequence, _BAD_SALT, session.salt)
            return [self._sealed(session, message, bytes(notice))]
        bodies = [self._reply(session, *each) for each in _requests(message)]
        wanted = [body for body in bodies if body]
        if message.session not in session.seen:
            session.seen.add(message.session)
            wanted.insert(0, bytes(types.NewSessionCreated(message.id, 1, session.salt)))
        if not wanted:
            return []
        return [self._sealed(session, message, wanted[0] if len(wanted) == 1 else self._container(wanted))]

    def _container(self, bodies: list[bytes]) -> bytes:
        parts = [struct.pack("<qii", self._next_id(), self._next_sequence(), len(body)) + body for body in bodies]
        return struct.pack("<Ii", MessageContainer.CONSTRUCTOR_ID, len(parts)) + b"".join(parts)

    def _sealed(self, session: Session, message: Message, body: bytes) -> bytes:
        answer = Message(session.salt, message.session, self._next_id(), self._next_sequence(), body)
        return envelope.sealed(answer, session.key)

    def _reply(self, session: Session, message_id: int, request: Any) -> bytes:
        """Empty where nothing is answered."""
        if isinstance(request, types.MsgsAck):
            self._centre.acknowledged += len(request.msg_ids)
            return b""
        if isinstance(request, functions.PingRequest | functions.PingDelayDisconnectRequest):
            return bytes(types.Pong(message_id, request.ping_id))
        try:
            body = self._result(session, request)
        except RpcFault as exc:
            body = bytes(types.RpcError(exc.code, exc.message))
        except (TypeError, ValueError, AttributeError, struct.error) as exc:
            # A fault of ours: said aloud, since a client that is merely cut off would try again for ever.
            body = bytes(types.RpcError(400, f"EMULATOR_BROKEN {exc!r}"))
        else:
            body = GzipPacked.gzip_if_smaller(self._centre.gzip, body)
        return struct.pack("<Iq", RpcResult.CONSTRUCTOR_ID, message_id) + body if body else b""

    def _result(self, session: Session, request: Any) -> bytes:
        """Raises RpcFault and Dropped."""
        request = self._unwrapped(request)
        name = type(request).__name__.removesuffix("Request")
        self._centre.journal.append((name, request))
        does = self._centre.script.next(name)
        if does == "silence":
            return b""
        if does == "drop":
            raise Dropped
        self._half = does == "half"
        if does[:1].isdigit():
            raise rpc_fault(does)
        answer = self._centre.answers.answer(session.login, request)
        if does in ("short", "empty"):
            answer.messages = answer.messages[-3:] if does == "short" else []
        return _serialised(answer)

    def _unwrapped(self, request: Any) -> Any:
        while True:
            if isinstance(request, functions.InvokeWithLayerRequest):
                if request.layer != LAYER:
                    raise RpcFault(400, "CONNECTION_LAYER_INVALID")
            elif isinstance(request, functions.InitConnectionRequest):
                self._centre.devices.append(request)
            elif not isinstance(request, functions.InvokeWithoutUpdatesRequest):
                return request
            request = request.query

    def _next_id(self) -> int:
        """Of an answer: odd, and greater than the one before."""
        self._last_id = max(self._last_id + 4, int(time.time() * 2**32) & ~3 | 1)
        return self._last_id

    def _next_sequence(self) -> int:
        self._sequence += 1
        return 2 * self._sequence - 1


def _requests(message: Message) -> list[tuple[int, Any]]:
    """What the client sent, with the number of the message each came in."""
    with BinaryReader(message.body) as reader:
        content = _unpacked(reader.tgread_object())
    if isinstance(content, MessageContainer):
        return [(inner.msg_id, _unpacked(inner.obj)) for inner in content.messages]
    return [(message.id, content)]


def _unpacked(content: Any) -> Any:
    if not isinstance(content, GzipPacked):
        return content
    with BinaryReader(content.data) as reader:
        return reader.tgread_object()


def _serialised(answer: Any) -> bytes:
    if isinstance(answer, bool):
        return struct.pack("<I", _TRUE if answer else _FALSE)
    if isinstance(answer, list):
        return struct.pack("<Ii", _VECTOR, len(answer)) + b"".join(bytes(each) for each in answer)
    return bytes(answer)
