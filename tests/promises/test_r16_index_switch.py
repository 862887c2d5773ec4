"""R16, R37: an index is built for another embedding while workers are killed and documents come and go: it switches
once, whole, two embeddings are never in one namespace, and at the end nothing has drifted."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import random
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.db.models.functions import Now

from backend.bots import indexes
from backend.bots.models import Bot, BotVersion, IndexBuild
from backend.documents import services
from backend.documents.models import Chunk, Document, State
from tests.backend.documents.fake_agent import EMBEDDING, OTHER_EMBEDDING, FakeAgent
from tests.backend.documents.fixtures import agent, agent_server, bot, empty_queue, empty_storage, fresh_process, upload
from tests.backend.documents.workers import Worker, eventually, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue", "empty_storage")]

Upload = Callable[..., Document]


def text(number: int) -> bytes:
    return "".join(f"Sentence {line} of document {number} says something else. " for line in range(60)).encode()


def all_ready() -> bool:
    return not Document.objects.exclude(state=State.READY).exists()


def serving() -> set[Any]:
    return set(Chunk.objects.filter(document__version=F("version")).values_list("pk", flat=True))


def check_never_mixed(agent: FakeAgent, bot: Bot, build: IndexBuild) -> None:
    used = {name: embeddings for name, embeddings in agent.embeddings.items() if embeddings}
    assert used == {bot.namespace: {EMBEDDING}, build.index.namespace: used[build.index.namespace]}
    assert used[build.index.namespace] == {OTHER_EMBEDDING}


def begin(upload: Upload, bot: Bot, *, documents: int) -> IndexBuild:
    BotVersion.objects.update(chunk_chars=150, chunk_overlap=0)
    for number in range(documents):
        upload(text(number))
    assert eventually(all_ready, seconds=60)
    build = indexes.start_build(bot=Bot.objects.get(pk=bot.pk), embedding=OTHER_EMBEDDING)
    assert build is not None
    return build


def disturb(running: list[Worker], upload: Upload, build: IndexBuild, *, kills: int, luck: random.Random) -> None:
    """Each time a document comes, one goes, and the worker that builds is killed."""
    for number in range(kills):
        eventually(lambda: IndexBuild.objects.filter(pk=build.pk, lease_until__gt=Now()).exists(), seconds=15)
        time.sleep(luck.uniform(0, 0.6))
        upload(text(100 + number))
        oldest = Document.objects.exclude(state=State.DELETING).order_by("pk").first()
        assert oldest is not None
        services.delete_document(document=oldest)
        for worker in running:
            worker.kill()
            worker.start()


def switch_under_fire(upload: Upload, agent: FakeAgent, bot: Bot, *, documents: int, kills: int, seed: int) -> None:
    luck = random.Random(seed)
    with workers(1, AGENT_INGEST_SECONDS="5") as running:
        build = begin(upload, bot, documents=documents)
        agent.seconds = 0.15
        disturb(running, upload, build, kills=kills, luck=luck)
        done = eventually(lambda: IndexBuild.objects.get(pk=build.pk).state == "done", seconds=90)
        assert done, f"seed {seed}: {IndexBuild.objects.values()}"
        assert eventually(all_ready, seconds=60), f"seed {seed}: {Document.objects.values('state', 'error_code')}"
        assert set(agent.vectors[build.index.namespace]) >= serving(), f"seed {seed}"
        IndexBuild.objects.filter(obsolete__isnull=False).update(forget_at=Now() - timedelta(seconds=1))
        forgotten = eventually(lambda: not agent.vectors[bot.namespace], seconds=30)
        assert forgotten, f"seed {seed}: {IndexBuild.objects.values()}"
        settled = eventually(lambda: agent.all_ids() == serving(), seconds=60)
        assert settled, f"seed {seed}: {agent.all_ids() ^ serving()}"
    check_never_mixed(agent, bot, build)
    assert max(agent.embedded.values()) <= 2, f"seed {seed}: once for each index"
    out = StringIO()
    call_command("reconcile", "--check", stdout=out)
    assert "agree" in out.getvalue()


def test_the_index_switches_whole_though_workers_are_killed(upload: Upload, agent: FakeAgent, bot: Bot) -> None:
    switch_under_fire(upload, agent, bot, documents=6, kills=3, seed=random.randrange(10**6))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_large_index_switches_whole_though_workers_are_killed_often(
    upload: Upload, agent: FakeAgent, bot: Bot, seed: int
) -> None:
    switch_under_fire(upload, agent, bot, documents=40, kills=20, seed=seed)
