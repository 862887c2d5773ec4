"""The data centre on a real socket, in a thread of its own."""

import asyncio
import os
import socket
import threading
from types import TracebackType
from typing import Any, Self

from telethon.crypto import AuthKey
from telethon.sessions import StringSession

from tests.emulators.telegram.calls import Answers
from tests.emulators.telegram.connection import Connection, Session
from tests.emulators.telegram.faults import Script
from tests.emulators.telegram.keys import server_key
from tests.emulators.telegram.login import Login
from tests.emulators.telegram.world import Account, World

DC_ID = 2
START_SECONDS = 10.0


class TelegramEmulator:
    """`with TelegramEmulator() as telegram:` On a free port of 127.0.0.1, and nowhere else."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.host, self.port = self._socket.getsockname()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telegram", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self.reset()

    def reset(self) -> None:
        """As if nobody had ever asked, and nothing existed."""
        self.world = World()
        self.script = Script()
        self.answers = Answers(self.world, DC_ID, (self.host, self.port))
        self.journal: list[tuple[str, Any]] = []  # requests in order, unwrapped
        self.devices: list[Any] = []  # what clients said about themselves
        self.acknowledged = 0
        self.gzip = True
        self.connected = 0
        self._sessions: dict[int, Session] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise RuntimeError("the emulator did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)

    @property
    def public_key(self) -> str:
        return server_key().pem

    def issue(self, account: Account) -> str:
        """A session string of the account's, as a login would have given it."""
        key = AuthKey(os.urandom(256))
        self._sessions[key.key_id] = Session(key, Login(account))
        session = StringSession()
        session.set_dc(DC_ID, self.host, self.port)
        session.auth_key = key
        return str(session.save())

    def revoke(self, account: Account) -> None:
        """As its owner does in the list of devices: the keys are known, and good for nothing."""
        for session in self._sessions.values():
            if session.login.account is account:
                session.login.account = None

    def forget_keys(self) -> None:
        self._sessions.clear()

    def logged_in(self) -> list[Account]:
        return [session.login.account for session in self._sessions.values() if session.login.account]

    def called(self, request: str) -> list[Any]:
        return [call for name, call in list(self.journal) if name == request]

    def session(self, key_id: int) -> Session | None:
        return self._sessions.get(key_id)

    def learn(self, key: AuthKey) -> None:
        self._sessions[key.key_id] = Session(key)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, sock=self._socket))
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in self._connections:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._connections, return_exceptions=True))
        self._loop.run_until_complete(server.wait_closed())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.connected += 1
        try:
            await Connection(self, reader, writer).serve()
        finally:
            self.connected -= 1
            self._connections.discard(task)
