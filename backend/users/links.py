"""Signed links sent by e-mail: they expire, and what they are for makes them void."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core import signing

from backend.users.errors import InvalidLink
from backend.users.models import User


@dataclass(frozen=True, slots=True)
class Purpose:
    path: str
    state: Callable[[User], str]  # what following the link changes; part of the signature, so a link works once


VERIFY_EMAIL = Purpose("verify-email", lambda user: f"{user.email}\n{user.email_verified_at}")
RESET_PASSWORD = Purpose("reset-password", lambda user: f"{user.email}\n{user.password}")


def url(user: User, purpose: Purpose) -> str:
    return f"{settings.SITE_URL.rstrip('/')}/{purpose.path}?{urlencode({'token': make(user, purpose)})}"


def make(user: User, purpose: Purpose) -> str:
    return _signer(user, purpose).sign(user.pk.hex)


def read(token: str, purpose: Purpose) -> User:
    """Whom the link was made for, the row locked: call it in the transaction that uses it up. Raises InvalidLink."""
    try:
        pk = UUID(hex=token.partition(":")[0])
    except ValueError as exc:
        raise InvalidLink from exc
    user = User.objects.select_for_update().filter(pk=pk, is_active=True).first()
    if user is None:
        raise InvalidLink
    try:
        _signer(user, purpose).unsign(token, max_age=settings.EMAIL_LINK_LIFETIME)
    except signing.BadSignature as exc:
        raise InvalidLink from exc
    return user


def _signer(user: User, purpose: Purpose) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"users.{purpose.path}\n{purpose.state(user)}")
