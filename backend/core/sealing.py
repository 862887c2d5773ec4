"""Secrets that must be read again (a session, a signing secret), sealed before they enter the database."""

import base64
import hashlib
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SealBroken(Exception):
    """The text was sealed with a key that this deployment no longer has."""


def seal(text: str) -> str:
    return _keys().encrypt(text.encode()).decode("ascii")


def unseal(sealed: str) -> str:
    """Raises SealBroken."""
    try:
        return _keys().decrypt(sealed.encode("ascii")).decode()
    except InvalidToken as exc:
        raise SealBroken from exc


@cache
def _keys() -> MultiFernet:
    """The first seals, every one of them opens: a new key goes before the old one."""
    return MultiFernet([Fernet(_derived(secret)) for secret in settings.SEALING_KEYS])


def _derived(secret: str) -> bytes:
    digest = hashlib.sha256(b"chatsphere sealing\n" + secret.encode()).digest()
    return base64.urlsafe_b64encode(digest)
