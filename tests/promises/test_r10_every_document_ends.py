"""R10, R12 a, b, d, R37: whatever is done to the workers, every document ends, each of its chunks was embedded once,
and rows, files and vectors agree."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import random
import signal
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from backend.bots.models import BotVersion
from backend.documents import reconciling
from backend.documents.models import Chunk, Document, State
from backend.documents.reconciling import reconcile
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import (
    agent,
    agent_server,
    bot,
    empty_queue,
    empty_storage,
    fresh_process,
    upload,
)
from tests.backend.documents.samples import docx, paragraph, pdf, poison_pdf
from tests.backend.documents.workers import Worker, cut_all_connections, eventually, workers

pytestmark = pytest.mark.django_db(transaction=True)

Upload = Callable[..., Document]
SENTENCE = "The quick brown fox number {} jumps over the lazy dog and tells everyone about it. "


@pytest.fixture(autouse=True)
def _young_files_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among those that no row names: nobody uploads any more when they are looked at."""
    monkeypatch.setattr(reconciling, "UPLOAD_GRACE", timedelta(0))


def innocent(number: int) -> tuple[bytes, str]:
    text = "".join(SENTENCE.format(f"{number}-{line}") for line in range(40))
    kinds = (
        lambda: (text.encode(), f"{number}.txt"),
        lambda: (pdf([SENTENCE.format(f"{number} {page}") for page in range(12)]), f"{number}.pdf"),
        lambda: (docx("".join(paragraph(SENTENCE.format(f"{number} {line}")) for line in range(60))), f"{number}.docx"),
        lambda: (f"<h1>{number}</h1><p>{text}</p>".encode(), f"{number}.html"),
    )
    return kinds[number % len(kinds)]()


def disturb(running: list[Worker], *, kills: int, pauses: int, cuts: int, every: float, luck: random.Random) -> None:
    """kill -9 with a new start, pauses longer than the lease, and all of the database's connections cut."""
    acts = ["kill"] * kills + ["pause"] * pauses + ["cut"] * cuts
    luck.shuffle(acts)
    for act in acts:
        eventually(lambda: Document.objects.filter(state=State.PROCESSING).exists(), seconds=10)
        time.sleep(every * luck.uniform(0, 2))
        worker = luck.choice(running)
        if act == "kill":
            worker.kill()
        elif act == "pause":
            worker.signal(signal.SIGSTOP)
            time.sleep(3)
            worker.signal(signal.SIGCONT)
        else:
            cut_all_connections()
        restart_dead(running)


def restart_dead(running: list[Worker]) -> None:
    """What the supervisor does."""
    for worker in running:
        if worker.process.poll() is not None:
            worker.start()


def all_ended(running: list[Worker]) -> bool:
    restart_dead(running)
    return not Document.objects.exclude(state__in=[State.READY, State.FAILED]).exists()


def check_every_document_ended(agent: FakeAgent, *, poison: set[str], corrupt: set[str]) -> None:
    outcome = {document.title: (document.state, document.error_code) for document in Document.objects.all()}
    expected = dict.fromkeys(poison, ("failed", "parser_crashed"))
    expected |= dict.fromkeys(corrupt, ("failed", "corrupt_file"))
    assert {title: outcome[title] for title in expected} == expected
    innocents = {title: end for title, end in outcome.items() if title not in expected}
    assert set(innocents.values()) == {("ready", "")}, [item for item in innocents.items() if item[1][0] != "ready"]
    expected_ids = set(Chunk.objects.filter(document__version=F("version")).values_list("pk", flat=True))
    assert Chunk.objects.count() == len(expected_ids)
    assert agent.all_ids() == expected_ids
    assert set(agent.embedded.values()) == {1}, agent.embedded.most_common(3)
    assert list(reconcile(repair=False)) == []


def fill(upload: Upload, *, innocents: int, poison: int, corrupt: int) -> tuple[set[str], set[str]]:
    """Returns the titles of those that must fail. Small chunks, so that a document takes several requests."""
    BotVersion.objects.update(chunk_chars=150, chunk_overlap=0)
    bad: dict[str, set[str]] = {"poison": set(), "corrupt": set()}
    for number in range(innocents):
        upload(*innocent(number))
    for number in range(poison):
        bad["poison"].add(upload(poison_pdf(300 + number), f"poison {number}.pdf").title)
    for number in range(corrupt):
        bad["corrupt"].add(upload(b"%PDF-1.7 and then nothing " + bytes([65 + number]), f"corrupt {number}.pdf").title)
    return bad["poison"], bad["corrupt"]


@pytest.mark.usefixtures("empty_queue", "empty_storage")
def test_every_document_ends_though_workers_are_killed_and_paused(agent: FakeAgent, upload: Upload) -> None:
    luck = random.Random(seed := random.randrange(10**6))
    agent.seconds = 0.2
    poison, corrupt = fill(upload, innocents=24, poison=2, corrupt=2)
    with workers(2, PARSER_MEMORY_BYTES=str(256 * 1024**2)) as running:
        disturb(running, kills=4, pauses=1, cuts=1, every=0.5, luck=luck)
        assert eventually(lambda: all_ended(running), seconds=60), f"seed {seed}"
        assert [worker.stop() for worker in running] == [0, 0]
    check_every_document_ended(agent, poison=poison, corrupt=corrupt)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("empty_queue", "empty_storage")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_one_of_500_documents_ends(agent: FakeAgent, upload: Upload, seed: int) -> None:
    agent.seconds = 0.2
    poison, corrupt = fill(upload, innocents=485, poison=5, corrupt=10)
    with workers(2, PARSER_MEMORY_BYTES=str(256 * 1024**2)) as running:
        disturb(running, kills=20, pauses=5, cuts=2, every=1, luck=random.Random(seed))
        assert eventually(lambda: all_ended(running), seconds=600)
        assert [worker.stop() for worker in running] == [0, 0]
    check_every_document_ended(agent, poison=poison, corrupt=corrupt)
