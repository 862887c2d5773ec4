"""What the tests of Telegram stand on: the emulated data centre, and sources that are synced as a worker does it."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from backend.bots.models import Bot
from backend.sources import services, syncing
from backend.sources.models import AT_REST, Source
from backend.telegram import services as sessions
from backend.telegram.models import TelegramSession
from tests.emulators.telegram.login import API_HASH, API_ID
from tests.emulators.telegram.server import DC_ID, TelegramEmulator
from tests.emulators.telegram.world import Account, Channel

Post = dict[str, Any]


@pytest.fixture(scope="session")
def data_centre() -> Iterator[TelegramEmulator]:
    with TelegramEmulator() as running:
        yield running


@pytest.fixture
def telegram(data_centre: TelegramEmulator, settings: Settings) -> TelegramEmulator:
    """An empty Telegram, and settings that lead nowhere else."""
    data_centre.reset()
    settings.TELEGRAM_API_ID = API_ID
    settings.TELEGRAM_API_HASH = API_HASH
    settings.TELEGRAM_DC_ID = DC_ID
    settings.TELEGRAM_DC_HOST = data_centre.host
    settings.TELEGRAM_DC_PORT = data_centre.port
    settings.TELEGRAM_RSA_PUBLIC_KEY = data_centre.public_key
    settings.TELEGRAM_PAGE_PAUSE_SECONDS = 0.0
    settings.TELEGRAM_FLOOD_SLEEP_SECONDS = 0
    settings.INGEST_HEARTBEAT = timedelta(hours=1)  # its connection does not see what a test has not committed
    return data_centre


@pytest.fixture
def account(telegram: TelegramEmulator) -> Account:
    return telegram.world.account()


@pytest.fixture
def session(telegram: TelegramEmulator, account: Account, db: None) -> TelegramSession:
    """The operator's, as a login would have left it."""
    return sessions.add_session(session=telegram.issue(account), account="A… · +99…45")


@pytest.fixture
def harbour(telegram: TelegramEmulator) -> Channel:
    return telegram.world.channel("Harbour news", "harbour")


@pytest.fixture
def follow(bot: Bot, session: TelegramSession) -> Callable[..., Source]:
    """A source that follows the channel, synced once."""

    def followed(channel: str = "@harbour", **fields: Any) -> Source:
        configuration = {"channel": channel}
        source = services.create_source(bot=bot, kind="telegram", configuration=configuration, **fields)
        syncing.sync(source.pk)
        source.refresh_from_db()
        return source

    return followed


def sync_again(source: Source, *, full: bool = False) -> None:
    """The next run, or the rest of the one that was put off."""
    Source.objects.filter(pk=source.pk).update(wake_at=None)
    if source.state in AT_REST:
        services.sync_now(source=source, full=full)
    syncing.sync(source.pk)
    source.refresh_from_db()


def stored_posts(source: Source) -> list[Post]:
    """Of all documents of the source, in the order of their blocks."""
    items = sorted(source.items.exclude(document=None), key=lambda item: int(item.external_id))
    lines = []
    for item in items:
        assert item.document is not None
        with default_storage.open(item.document.file) as file:
            lines += file.read().decode().rstrip("\n").split("\n")
    return [json.loads(line) for line in lines]


def numbers(source: Source) -> list[int]:
    return [post["number"] for post in stored_posts(source)]


def texts(source: Source) -> list[str]:
    return [post["text"] for post in stored_posts(source)]
