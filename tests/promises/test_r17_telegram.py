"""R17: real workers and the real Telethon against an emulated data centre. Patience is kept and costs nobody else
anything, whoever dies in the middle loses and repeats nothing, edits and deletions arrive, the session is a secret."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import random
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone
from pytest_django import Settings

from backend.bots.models import Bot
from backend.documents.models import Chunk, Document, Kind, Page, State
from backend.sources import services
from backend.sources.models import Source, SourceState
from backend.telegram import services as sessions
from backend.telegram.models import TelegramSession
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import agent, agent_server, bot, empty_queue, fresh_process, upload
from tests.backend.documents.workers import Worker, eventually, workers
from tests.backend.telegram.fixtures import data_centre, harbour
from tests.emulators.telegram.login import API_HASH, API_ID
from tests.emulators.telegram.server import TelegramEmulator
from tests.emulators.telegram.world import Channel

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue", "agent")]

Follow = Callable[[], Source]
SETTINGS = {
    "TELEGRAM_API_ID": str(API_ID),
    "TELEGRAM_API_HASH": API_HASH,
    "TELEGRAM_DC_HOST": "127.0.0.1",
    "TELEGRAM_PAGE_PAUSE_SECONDS": "0.0",
    "EMBED_BATCH": "100",
}


@pytest.fixture
def telegram(data_centre: TelegramEmulator, settings: Settings) -> TelegramEmulator:
    data_centre.reset()
    settings.TELEGRAM_API_ID = API_ID
    account = data_centre.world.account()
    sessions.add_session(session=data_centre.issue(account), account="A…")
    return data_centre


@pytest.fixture
def follow(bot: Bot, telegram: TelegramEmulator, harbour: Channel) -> Follow:
    return lambda: services.create_source(bot=bot, kind="telegram", configuration={"channel": "@harbour"})


def posts() -> QuerySet[Page]:
    """Those that answers are made from."""
    return Page.objects.filter(version_id=F("version__document__version_id"))


def numbers() -> list[int]:
    links = posts().filter(version__document__kind=Kind.TELEGRAM).values_list("link", flat=True)
    return sorted(int(link.rpartition("/")[2]) for link in links)


def reached(source: Source, *, seconds: float = 150) -> bool:
    """The run is over, and whatever it brought is indexed."""

    def over() -> bool:
        source.refresh_from_db()
        at_work = Document.objects.filter(state__in=[State.QUEUED, State.PROCESSING, State.DELETING])
        return source.state == SourceState.IDLE and not at_work.exists()

    return bool(eventually(over, seconds=seconds))


def waits(source: Source) -> bool:
    source.refresh_from_db()
    return source.error_code == "telegram_flood_wait"


@pytest.mark.parametrize("real", [pytest.param(False, id="clock moved"), pytest.param(True, marks=pytest.mark.long)])
def test_a_flood_wait_of_37_seconds_is_kept_to_and_the_worker_is_free_meanwhile(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, upload: Callable[..., Document], real: bool
) -> None:
    harbour.posts(250)
    telegram.script.add("GetHistory", "420 FLOOD_WAIT_37", after=2)
    source = follow()
    with workers(1, WORKER_CONCURRENCY="1", **SETTINGS):
        assert eventually(lambda: waits(source), seconds=60)
        begun, asked = time.monotonic(), len(telegram.called("GetHistory"))
        assert source.wake_at is not None
        assert 30 < (source.wake_at - timezone.now()).total_seconds() <= 38
        # All the work of others, on the only slot there is, is done long before.
        offered = time.monotonic()
        document = upload(b"The lighthouse was built in 1902.")
        assert eventually(lambda: Document.objects.filter(pk=document.pk, state=State.READY).exists(), seconds=25)
        print(f"somebody else's document was ready {time.monotonic() - offered:.1f} s after it was offered")
        assert (len(telegram.called("GetHistory")), source.wake_at > timezone.now()) == (asked, True)
        if not real:
            TelegramSession.objects.update(waits={})
            Source.objects.update(wake_at=timezone.now())
        assert reached(source)
        assert not real or time.monotonic() - begun > 35
    assert numbers() == list(range(1, 251))


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_workers_killed_in_the_middle_of_a_channel_lose_and_repeat_nothing(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, agent: FakeAgent, kills: int
) -> None:
    luck = random.Random(17)
    harbour.posts(100 * (3 * kills + 5))
    source = follow()
    with workers(1, **{**SETTINGS, "TELEGRAM_PAGE_PAUSE_SECONDS": "0.3"}) as (worker,):
        for _ in range(kills):
            assert eventually(_asked_again(telegram), seconds=150)
            time.sleep(luck.uniform(0, 0.5))
            worker.kill()
            worker.start()
        assert reached(source, seconds=170 if kills < 10 else 900)
    assert source.error_code == ""
    assert numbers() == list(range(1, harbour.count + 1))
    assert not Chunk.objects.exclude(version_id=F("document__version_id")).exists()


def _asked_again(telegram: TelegramEmulator) -> Callable[[], bool]:
    before = len(telegram.called("GetHistory"))
    return lambda: len(telegram.called("GetHistory")) > before


def test_edits_and_deletions_reach_what_answers_are_made_from(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator
) -> None:
    harbour.posts(150)
    source = follow()
    with workers(1, **SETTINGS):
        assert reached(source)
        harbour.edit(120, "Pier 9 is closed until spring.")
        harbour.delete(7, 121)
        services.sync_now(source=source)
        assert reached(source)
    assert numbers() == [*range(1, 7), *range(8, 121), *range(122, 151)]
    page = posts().get(link="https://t.me/harbour/120")
    assert (page.text, page.author) == ("Pier 9 is closed until spring.", "Harbour news")
    live = Chunk.objects.filter(version_id=F("document__version_id"), text__contains="Pier 9")
    assert [chunk.page for chunk in live] == [page.number]


def test_the_session_is_sealed_in_the_database_and_absent_from_the_log_at_its_loudest(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator
) -> None:
    harbour.posts(5)
    harbour.file("../../x", "See the plan.")
    telegram.script.add("GetHistory", "half")
    session = TelegramSession.objects.get()
    source = follow()
    with workers(1, LOG_LEVEL="DEBUG", **SETTINGS) as (worker,):
        begins = worker.log.stat().st_size
        assert reached(source)
        said = worker.log.read_bytes()[begins:].decode(errors="replace")
    secret = session.opened()
    for hidden in (secret, secret[1:60], API_HASH):
        assert hidden not in said
        assert hidden not in session.sealed
    assert numbers() == [1, 2, 3, 4, 5, 6]
