from collections.abc import Iterator

import pytest

from tests.emulators.telegram.login import API_HASH, API_ID
from tests.emulators.telegram.server import DC_ID, TelegramEmulator
from tests.stack import Person, Stack, running_stack
from tests.websites import Website, website


@pytest.fixture(scope="session")
def keyless() -> Iterator[Stack]:
    """The whole product as a first `make run` starts it; only the grant is larger, for many questions."""
    with running_stack(SIGNUP_GRANT="10000") as stack:
        yield stack


@pytest.fixture(scope="module")
def person(keyless: Stack, request: pytest.FixtureRequest) -> Person:
    return keyless.person(f"{request.module.__name__.rsplit('.', 1)[-1]}@example.com")


@pytest.fixture(scope="session")
def site() -> Iterator[Website]:
    with website() as site:
        yield site


@pytest.fixture(scope="session")
def telegram() -> Iterator[TelegramEmulator]:
    with TelegramEmulator() as running:
        yield running


@pytest.fixture(scope="session")
def with_sources(site: Website, telegram: TelegramEmulator) -> Iterator[Stack]:
    """The whole product, allowed to read the site, and an app of the emulated Telegram."""
    settings = {
        "FETCH_ALLOWED_NETWORKS": "127.0.0.1/32",
        "FETCH_PORTS": str(site.port),
        "WEB_DELAY_SECONDS": "0.0",
        "TELEGRAM_API_ID": str(API_ID),
        "TELEGRAM_API_HASH": API_HASH,
        "TELEGRAM_DC_ID": str(DC_ID),
        "TELEGRAM_DC_HOST": telegram.host,
        "TELEGRAM_DC_PORT": str(telegram.port),
        "TELEGRAM_RSA_PUBLIC_KEY": telegram.public_key.replace("\n", "\\n"),
        "TELEGRAM_PAGE_PAUSE_SECONDS": "0.0",
    }
    with running_stack(SIGNUP_GRANT="10000", **settings) as stack:
        yield stack
