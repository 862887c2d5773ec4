"""Telethon behind a plain face: one request at a time, from code that is not asynchronous, with an end to waiting and
every failure by its code."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from telethon import TelegramClient, errors
from telethon.crypto import rsa
from telethon.sessions import StringSession

from backend.telegram.errors import TelegramFailed

_CODES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((errors.ChannelPrivateError, errors.ChatForbiddenError), "telegram_channel_private"),
    ((errors.ChannelInvalidError, errors.PeerIdInvalidError, errors.ChatIdInvalidError), "telegram_channel_gone"),
    ((errors.UsernameNotOccupiedError,), "telegram_name_unknown"),
    ((errors.UsernameInvalidError,), "telegram_name_invalid"),
    (
        (errors.InviteHashEmptyError, errors.InviteHashExpiredError, errors.InviteHashInvalidError),
        "telegram_invite_unknown",
    ),
    ((errors.AuthKeyNotFound, errors.AuthKeyDuplicatedError, errors.UnauthorizedError), "telegram_session_revoked"),
    ((TimeoutError,), "telegram_timeout"),
    # Its own troubles; broken connections, also in the middle of an answer; and what Telethon cancels when it gives up.
    (
        (errors.ServerError, errors.TimedOutError, OSError, EOFError, BufferError, asyncio.CancelledError),
        "telegram_unreachable",
    ),
)
_FLOODS = (errors.FloodWaitError, errors.FloodPremiumWaitError, errors.SlowModeWaitError)
_CONNECT_TRIES = 3


class Client:
    """`with Client(session) as client:`, where `session` is what `session` returned after a login, or empty before one.

    Its event loop runs only while a request is waited for. Everything raises TelegramFailed.
    """

    def __init__(self, session: str = "") -> None:
        self._session = _session(session)
        self._runner = asyncio.Runner()
        self.telethon: Any = None

    def __enter__(self) -> Self:
        try:
            self.wait(self._open)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def session(self) -> str:
        """Whoever has this string is logged in."""
        return str(self._session.save())

    def ask(self, request: Any) -> Any:
        """The answer to one of `telethon.functions`."""
        return self.wait(lambda: self.telethon(request))

    def wait(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """What `call` returns, within TELEGRAM_REQUEST_SECONDS."""
        with _translated():
            return self._runner.run(_within(call))

    def require_login(self) -> None:
        if not self.wait(lambda: self.telethon.is_user_authorized()):
            raise TelegramFailed("telegram_session_revoked")

    async def _open(self) -> None:
        self.telethon = TelegramClient(
            self._session,
            int(settings.TELEGRAM_API_ID),
            settings.TELEGRAM_API_HASH,
            use_ipv6=":" in (self._session.server_address or ""),
            timeout=settings.TELEGRAM_REQUEST_SECONDS,
            connection_retries=_CONNECT_TRIES,
            flood_sleep_threshold=settings.TELEGRAM_FLOOD_SLEEP_SECONDS,
            raise_last_call_error=True,
            receive_updates=False,
            device_model=settings.TELEGRAM_DEVICE_MODEL,
            system_version=settings.TELEGRAM_SYSTEM_VERSION,
            app_version=settings.TELEGRAM_APP_VERSION,
            lang_code=settings.TELEGRAM_LANG_CODE,
            system_lang_code=settings.TELEGRAM_SYSTEM_LANG_CODE,
        )
        await self.telethon.connect()

    def _close(self) -> None:
        try:
            if self.telethon is not None:
                self._runner.run(_closed(self.telethon))
        finally:
            self._runner.close()


async def _within(call: Callable[[], Awaitable[Any]]) -> Any:
    # Telethon itself waits for ever for an answer that does not come.
    async with asyncio.timeout(settings.TELEGRAM_REQUEST_SECONDS):
        return await call()


async def _closed(client: Any) -> None:
    ended = client.disconnected
    await client.disconnect()
    if ended.done() and not ended.cancelled():
        ended.exception()  # looked at, or asyncio complains that nobody did


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _FLOODS as exc:
        raise TelegramFailed("telegram_flood_wait", wait=timedelta(seconds=exc.seconds)) from exc
    except (Exception, asyncio.CancelledError) as exc:
        code = next((code for kinds, code in _CODES if isinstance(exc, kinds)), None)
        if code is not None:
            raise TelegramFailed(code) from exc
        if isinstance(exc, errors.RPCError):
            raise TelegramFailed("telegram_refused", detail=str(exc).partition(" (caused by")[0][:200]) from exc
        raise


def _session(text: str) -> StringSession:
    """The data centre is the one the session was made at; a new one begins at Telegram's own, or at the emulated one
    that the settings name, which can only be on this machine."""
    session = StringSession(text)
    if settings.TELEGRAM_DC_HOST:
        if not text:
            session.set_dc(settings.TELEGRAM_DC_ID, settings.TELEGRAM_DC_HOST, settings.TELEGRAM_DC_PORT)
            rsa.add_key(settings.TELEGRAM_RSA_PUBLIC_KEY, old=False)
        if not ipaddress.ip_address(session.server_address).is_loopback:
            raise TelegramFailed("telegram_unreachable")
    return session
