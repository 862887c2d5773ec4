"""R10: with workers killed over and over at one long document, its index is that of a run nobody disturbed, and each
passage was embedded once; with the real agent, and counted at the vendor."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from pytest_django import Settings

from agent_service.main import create_app
from agent_service.providers import registry
from agent_service.settings import Settings as AgentSettings
from backend.bots import services as bots
from backend.bots.models import Bot, BotVersion
from backend.documents.models import Chunk, Document, State
from tests.agent_service.calls import SERVICE_KEY
from tests.backend.documents.fixtures import bot, empty_queue, fresh_process, upload
from tests.backend.documents.samples import pdf
from tests.backend.documents.workers import Worker, eventually, workers
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.server import Running
from tests.serving import serve

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_queue", "fresh_process"),
]

Upload = Callable[..., Document]
KEY = "emulated-key"
EMBED = "batchEmbedContents"
LIFE_SECONDS = 0.8
"""A worker's, at most, from when it takes the document up."""


@pytest.fixture
def vendor() -> Iterator[GeminiEmulator]:
    with Running(GeminiEmulator(KEY)) as running:
        running.emulator.base_url = running.url  # type: ignore[attr-defined]
        yield running.emulator


@pytest.fixture
def index_url(vendor: GeminiEmulator, settings: Settings) -> Iterator[str]:
    """The database of a real agent that embeds at the vendor's emulator."""
    server = make_conninfo(os.environ["DATABASE_URL"], dbname="postgres")
    name = f"agent_{uuid4().hex[:12]}"
    url = make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        agent_settings = AgentSettings(
            _env_file=None,
            service_key=SecretStr(SERVICE_KEY),
            agent_database_url=SecretStr(url),
            google_api_key=SecretStr(KEY),
            google_base_url=vendor.base_url,  # type: ignore[attr-defined]
            google_embedding_dimension=64,
            pinecone_api_key=SecretStr(""),
        )
        settings.SERVICE_KEY = SERVICE_KEY
        with serve(create_app(agent_settings, registry.opened)) as settings.AGENT_URL:
            yield url
        connection.execute(f'drop database "{name}" with (force)'.encode())


def ready(document: Document) -> bool:
    return Document.objects.filter(pk=document.pk, state=State.READY).exists()


def taken_for_the_time(document: Document, number: int) -> bool:
    return ready(document) or Document.objects.filter(pk=document.pk, fence__gte=number).exists()


def kill_at_random_moments(worker: Worker, document: Document, *, times: int, luck: random.Random) -> int:
    """Each time at work on the document. Returns how often."""
    for number in range(times):
        assert eventually(partial(taken_for_the_time, document, number + 1), seconds=90)
        time.sleep(luck.uniform(0, LIFE_SECONDS))
        if ready(document):
            return number
        worker.kill()
        worker.start()
    return times


def passages(document: Document) -> set[tuple[int, int, int, str]]:
    return set(Chunk.objects.filter(document=document).values_list("position", "page", "start", "text"))


def stored(url: str, document: Document) -> list[Counter[UUID]]:
    """The chunks of the vectors and of the lexical index."""
    with psycopg.connect(url) as connection:
        return [
            Counter(row[0] for row in connection.execute(query, (document.pk,)))
            for query in (
                "select chunk from vectors.vector where document = %s",
                "select chunk from vectors.lexical_chunk where document = %s",
            )
        ]


def check_killed_over(
    upload: Upload, vendor: GeminiEmulator, index_url: str, bot: Bot, *, pages: int, kills: int, batch: int
) -> None:
    seed = random.randrange(10**6)
    undisturbed = bots.create_bot(owner=bot.owner, name="Undisturbed")
    BotVersion.objects.update(chunk_chars=200, chunk_overlap=20)
    content = pdf([f"Page {page} says that {page} times {page} is {page * page}. " * 10 for page in range(pages)])
    vendor.script.latency(EMBED, call=LIFE_SECONDS + 0.2)  # a life sends what is in flight at once, and no more
    document = upload(content, "long.pdf")
    with workers(1, EMBED_BATCH=str(batch), SERVICE_KEY=SERVICE_KEY) as (worker,):
        killed = kill_at_random_moments(worker, document, times=kills, luck=random.Random(seed))
        vendor.script.latency(EMBED, call=0.0)
        assert eventually(lambda: ready(document), seconds=120), f"seed {seed}"
        embedded = sum(len(call.body["requests"]) for call in vendor.journal.of(EMBED))
        clean = upload(content, "long.pdf", bot=undisturbed)
        assert eventually(lambda: ready(clean), seconds=120)
    assert killed >= kills // 2, f"seed {seed}: ready after {killed} kills"
    assert passages(document) == passages(clean)
    assert embedded == len(passages(document)), f"seed {seed}"
    ids = Counter(Chunk.objects.filter(document=document).values_list("pk", flat=True))
    assert stored(index_url, document) == [ids, ids], f"seed {seed}"


def test_a_document_is_indexed_once_though_its_workers_are_killed_10_times(
    upload: Upload, vendor: GeminiEmulator, index_url: str, bot: Bot
) -> None:
    check_killed_over(upload, vendor, index_url, bot, pages=100, kills=10, batch=4)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_500_pages_are_indexed_once_though_their_workers_are_killed_200_times(
    upload: Upload, vendor: GeminiEmulator, index_url: str, bot: Bot
) -> None:
    check_killed_over(upload, vendor, index_url, bot, pages=500, kills=200, batch=1)
