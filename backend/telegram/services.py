import importlib
from collections.abc import Callable

from django.db import transaction
from django.db.models.functions import Now

from backend.core import jobs, sealing
from backend.core.sealing import SealBroken
from backend.telegram.models import TelegramSession

LOG_OUT = "telegram.log_out"


def log_in(*, phone: str, code: Callable[[], str], password: Callable[[], str]) -> TelegramSession:
    """A new session of the operator's account, which all sources use from now on. Raises TelegramFailed."""
    login = importlib.import_module("backend.telegram.login").log_in(phone=phone, code=code, password=password)
    return add_session(session=login.session, account=login.account)


def add_session(*, session: str, account: str) -> TelegramSession:
    """`session` is Telethon's string; only its sealed form is kept."""
    return TelegramSession.objects.create(sealed=sealing.seal(session), account=account)


def retire(*, session: TelegramSession) -> None:
    """Use it no more, have the worker log it out at Telegram, and then delete it."""
    with transaction.atomic():
        TelegramSession.objects.filter(pk=session.pk, leaving_at=None).update(leaving_at=Now())
        jobs.enqueue(LOG_OUT, queueing_lock=f"{LOG_OUT}:{session.pk}", session_id=str(session.pk))


def log_out(*, session: TelegramSession) -> None:
    """Log it out at Telegram and delete it. Raises TelegramFailed, and then it is still there."""
    try:
        opened = session.opened()
    except SealBroken:
        opened = ""  # nobody can use it any more
    if opened:
        importlib.import_module("backend.telegram.login").log_out(opened)
    session.delete()
