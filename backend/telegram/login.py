"""Logging the operator's account in and out at Telegram."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from telethon import errors, functions

from backend.telegram.client import Client
from backend.telegram.errors import TelegramFailed

_CODE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Login:
    """`session` is the secret; `account` may be shown."""

    session: str
    account: str


def log_in(*, phone: str, code: Callable[[], str], password: Callable[[], str]) -> Login:
    """`code` is asked for what Telegram sends to the account's other devices, `password` only where it has a second
    factor; each again while it is wrong. Raises TelegramFailed."""
    with Client() as client:
        telethon = client.telethon
        client.wait(lambda: telethon.send_code_request(phone))
        try:
            user = _tried(code, lambda given: client.wait(lambda: telethon.sign_in(phone, code=given)))
        except TelegramFailed as exc:
            if not isinstance(exc.__cause__, errors.SessionPasswordNeededError):
                raise
            user = _tried(password, lambda given: client.wait(lambda: telethon.sign_in(password=given)))
        return Login(client.session, masked(user.first_name or "", user.phone or phone))


def log_out(session: str) -> None:
    """Nothing to do where Telegram does not know the session any more. Raises TelegramFailed."""
    try:
        with Client(session) as client:
            client.ask(functions.auth.LogOutRequest())
    except TelegramFailed as exc:
        if exc.code != "telegram_session_revoked":
            raise


def masked(name: str, phone: str) -> str:
    """Enough for its owner to recognise, and for nobody else: the first letter, the country code and the last two."""
    digits = "".join(char for char in phone if char.isdigit())
    return f"{name[:1]}… · +{digits[:2]}…{digits[-2:]}"


def _tried(ask: Callable[[], str], use: Callable[[str], Any]) -> Any:
    for _ in range(_CODE_TRIES - 1):
        try:
            return use(ask())
        except TelegramFailed as exc:
            if not isinstance(exc.__cause__, errors.PhoneCodeInvalidError | errors.PasswordHashInvalidError):
                raise
    return use(ask())
