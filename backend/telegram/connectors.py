"""The two ways to follow a channel, as kinds of sources. What reads is imported by the worker that reads."""

import importlib
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from backend.bots.models import Bot
from backend.documents.models import Kind
from backend.sources.connectors import Prepared, Run, register
from backend.sources.errors import SourceInvalid
from backend.sources.models import Source
from backend.telegram import addresses
from backend.telegram.addresses import Address
from backend.telegram.failures import FAILURES
from backend.telegram.models import Channel, TelegramSession


class TelegramConnector:
    """With the operator's account: public channels, and those it has joined."""

    kinds = ("telegram",)
    document_kind = Kind.TELEGRAM

    def prepare(self, *, bot: Bot, kind: str, configuration: Mapping[str, Any]) -> Prepared:  # noqa: ARG002 - the port's
        address = _address(configuration)
        if not settings.TELEGRAM_API_ID or not TelegramSession.objects.filter(leaving_at=None).exists():
            raise _invalid("telegram_session_missing")
        return _prepared(address, title=address.canonical if address.username else "Telegram channel")

    def sync(self, run: Run) -> None:
        importlib.import_module("backend.telegram.syncing").sync(run)

    def forget(self, source: Source) -> None:
        Channel.objects.filter(source=source).delete()


class PreviewConnector:
    """Without an account: what t.me shows of a public channel."""

    kinds = ("telegram_preview",)
    document_kind = Kind.TELEGRAM

    def prepare(self, *, bot: Bot, kind: str, configuration: Mapping[str, Any]) -> Prepared:  # noqa: ARG002 - the port's
        address = _address(configuration)
        if not address.username:
            raise _invalid("telegram_no_preview")
        return _prepared(address, title=address.canonical)

    def sync(self, run: Run) -> None:
        importlib.import_module("backend.telegram.previewing").sync(run)

    def forget(self, source: Source) -> None:
        Channel.objects.filter(source=source).delete()


def register_all() -> None:
    register(TelegramConnector())
    register(PreviewConnector())


def _address(configuration: Mapping[str, Any]) -> Address:
    """Raises SourceInvalid."""
    given = configuration.get("channel")
    address = addresses.parse(given) if isinstance(given, str) else None
    if address is None or configuration.keys() - {"channel"}:
        raise _invalid("telegram_name_invalid")
    return address


def _prepared(address: Address, *, title: str) -> Prepared:
    # Telegram does not distinguish capitals in names; in invitations it does.
    identity = address.canonical.lower() if address.username else address.canonical
    return Prepared({"channel": address.canonical}, identity=identity, title=title, link=address.link)


def _invalid(code: str) -> SourceInvalid:
    failure = FAILURES[code]
    return SourceInvalid(code, f"{failure.message} {failure.hint}")
