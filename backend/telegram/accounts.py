"""The operator's account while a source is read with it: held by one reader at a time, and remembering what Telegram
asked for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from backend.core.sealing import SealBroken
from backend.telegram.client import Client
from backend.telegram.errors import TelegramFailed
from backend.telegram.models import TelegramSession

BUSY_PAUSE = timedelta(seconds=3)
_RESERVED = timedelta(seconds=15)  # for one that was told to come back after the pause


class Account:
    def __init__(self, session: TelegramSession, holder: UUID, client: Client) -> None:
        self.session = session
        self._holder = holder
        self._client = client

    def ask(self, request: Any) -> Any:
        """Raises TelegramFailed. While Telegram wants a kind of request not to be made, it is not, for no source."""
        kind = type(request).__name__
        left = float(self.session.waits.get(kind, 0)) - time.time()
        if left > 0:
            raise TelegramFailed("telegram_flood_wait", wait=timedelta(seconds=left))
        _renew(self.session, self._holder)
        try:
            return self._client.ask(request)
        except TelegramFailed as exc:
            if exc.wait is not None:
                self._remember(kind, exc.wait)
            raise

    def _remember(self, kind: str, wait: timedelta) -> None:
        now = time.time()
        waits = {name: until for name, until in self.session.waits.items() if until > now}
        self.session.waits = {**waits, kind: now + wait.total_seconds()}
        self.session.save(update_fields=["waits"])


@contextmanager
def account_for(holder: UUID) -> Iterator[Account]:
    """The newest session, held by the source `holder` until the block ends. Raises TelegramFailed."""
    session = _current()
    _take(session, holder)
    try:
        with _revocation_noted(session), Client(_opened(session)) as client:
            client.require_login()
            yield Account(session, holder, client)
    finally:
        TelegramSession.objects.filter(pk=session.pk, holder=holder).update(holder=None, lease_until=None)


def _current() -> TelegramSession:
    usable = TelegramSession.objects.filter(leaving_at=None).order_by("-pk")
    session = usable.filter(revoked_at=None).first()
    if session is None or not settings.TELEGRAM_API_ID:
        raise TelegramFailed("telegram_session_revoked" if usable.exists() else "telegram_session_missing")
    return session


def _opened(session: TelegramSession) -> str:
    try:
        return session.opened()
    except SealBroken as exc:
        raise TelegramFailed("telegram_session_missing") from exc


def _take(session: TelegramSession, holder: UUID) -> None:
    """A source that comes back, as after its worker's death, need not wait for itself; one whose turn is over waits for
    whoever came meanwhile."""
    row = TelegramSession.objects.filter(pk=session.pk)
    unwanted = Q(follower=None) | Q(follower=holder) | Q(follower_until__lt=Now())
    free = Q(holder=None) | Q(holder=holder) | Q(lease_until__lt=Now())
    if not row.filter(free, unwanted).update(holder=holder, lease_until=Now() + _lease(), follower=None):
        row.filter(unwanted).update(follower=holder, follower_until=Now() + _RESERVED)
        raise TelegramFailed("telegram_busy", wait=BUSY_PAUSE)


def _renew(session: TelegramSession, holder: UUID) -> None:
    held = TelegramSession.objects.filter(pk=session.pk, holder=holder, leaving_at=None)
    if not held.update(lease_until=Now() + _lease()):
        raise TelegramFailed("telegram_busy", wait=BUSY_PAUSE)


def _lease() -> timedelta:
    """Longer than any request may take, and than what is done between two."""
    return timedelta(seconds=settings.TELEGRAM_REQUEST_SECONDS) + settings.INGEST_LEASE


@contextmanager
def _revocation_noted(session: TelegramSession) -> Iterator[None]:
    try:
        yield
    except TelegramFailed as exc:
        if exc.code == "telegram_session_revoked":
            TelegramSession.objects.filter(pk=session.pk, revoked_at=None).update(revoked_at=Now())
        raise
