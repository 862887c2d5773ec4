"""Real workers that are killed while they read a real site: nothing is lost, nothing is read twice for nothing."""

from functools import partial

import pytest
from pytest_django import Settings

from backend.bots import services as bots
from backend.documents.models import Chunk, Document, State
from backend.sources import services
from backend.sources.models import Item, Source, SourceState
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.workers import eventually, workers
from tests.websites import Website, article

PAGES = 12  # ten links away from the first one, and the home page that each of them leads to
KILLS = 4

pytestmark = pytest.mark.django_db(transaction=True)


def idle(source: Source) -> bool:
    source.refresh_from_db()
    return bool(source.state == SourceState.IDLE)


def items(wanted: int) -> bool:
    return Item.objects.count() >= wanted


def all_ready() -> bool:
    return not Document.objects.exclude(state=State.READY).exists()


def test_a_site_is_read_to_its_end_whoever_dies(
    empty_queue: None, site: Website, agent: FakeAgent, owner: User, settings: Settings
) -> None:
    for number in range(PAGES):
        site.pages[f"/{number}"] = article(f"Page {number}", f"This is number {number}.", f"/{number + 1}")
    environment = {
        "FETCH_ALLOWED_NETWORKS": "127.0.0.1/32",
        "FETCH_PORTS": str(site.port),
        "WEB_DELAY_SECONDS": "0.2",
        "SOURCE_TURN_SECONDS": "3",
    }
    bot = bots.create_bot(owner=owner, name="Librarian")
    configuration = {"url": f"{site.url}/0", "depth": 10}
    with workers(1, **environment) as (worker,):
        source = services.create_source(bot=bot, kind="site", configuration=configuration)
        for kill in range(1, KILLS + 1):
            assert eventually(partial(items, 2 * kill), seconds=120)
            worker.kill()
            worker.start()
        assert eventually(lambda: idle(source), seconds=120)
        assert eventually(all_ready, seconds=120)
    assert (source.error_code, source.run, source.counts["new"]) == ("", 1, PAGES)
    assert Item.objects.count() == Document.objects.count() == PAGES
    assert len(site.paths()) <= PAGES + KILLS
    assert agent.all_ids() == set(Chunk.objects.values_list("pk", flat=True))


def test_a_worker_that_is_stopped_hands_the_site_over(
    empty_queue: None, site: Website, agent: FakeAgent, owner: User, settings: Settings
) -> None:
    for number in range(PAGES):
        site.pages[f"/{number}"] = article(f"Page {number}", f"This is number {number}.", f"/{number + 1}")
    environment = {"FETCH_ALLOWED_NETWORKS": "127.0.0.1/32", "FETCH_PORTS": str(site.port), "WEB_DELAY_SECONDS": "0.5"}
    bot = bots.create_bot(owner=owner, name="Librarian")
    with workers(1, **environment) as (worker,):
        configuration = {"url": f"{site.url}/0", "depth": 10}
        source = services.create_source(bot=bot, kind="site", configuration=configuration)
        assert eventually(partial(items, 2), seconds=120)
        assert worker.stop() == 0
        source.refresh_from_db()
        assert (source.state, source.lease_until) == (SourceState.QUEUED, None)
