"""R13: a document, a bot or an account deleted at any moment of the work on it is gone, and does not come back."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import random
import time
from collections.abc import Callable

import pytest

from backend.bots import indexes
from backend.bots import services as bots
from backend.bots.models import Bot, BotVersion
from backend.documents import services
from backend.documents.models import Chunk, Document, Page
from backend.users import services as users
from backend.users.models import User
from tests.backend.documents.fake_agent import OTHER_EMBEDDING, FakeAgent
from tests.backend.documents.fixtures import (
    agent,
    agent_server,
    bot,
    empty_queue,
    empty_storage,
    fresh_process,
    stored_files,
    upload,
)
from tests.backend.documents.workers import eventually, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue", "empty_storage")]

Upload = Callable[..., Document]
LEASE = 2.0


def text(number: int) -> bytes:
    return "".join(f"Sentence {line} of document {number} says something else. " for line in range(80)).encode()


def nothing_left(agent: FakeAgent) -> bool:
    rows = Document.objects.exists() or Chunk.objects.exists() or Page.objects.exists()
    return not rows and not agent.all_ids() and not stored_files()


def check_all_gone_for_good(agent: FakeAgent, *, seed: int) -> None:
    assert eventually(lambda: nothing_left(agent), seconds=60), f"seed {seed}: {Document.objects.values()}"
    time.sleep(LEASE)
    assert nothing_left(agent), f"seed {seed}: it came back"


def delete_documents_at_random_moments(upload: Upload, agent: FakeAgent, *, count: int, seed: int) -> None:
    luck = random.Random(seed)
    agent.seconds = 0.2
    BotVersion.objects.update(chunk_chars=150, chunk_overlap=0)
    with workers(1) as running:
        for number in range(count):
            document = upload(text(number))
            eventually(lambda: Document.objects.exclude(state="queued").exists(), seconds=10)
            time.sleep(luck.uniform(0, 0.8))
            services.delete_document(document=document)
            if number % 3 == 2:
                running[0].kill()
                running[0].start()
        check_all_gone_for_good(agent, seed=seed)


def test_documents_deleted_at_random_moments_are_gone(upload: Upload, agent: FakeAgent) -> None:
    delete_documents_at_random_moments(upload, agent, count=5, seed=random.randrange(10**6))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_100_documents_deleted_at_random_moments_are_gone(upload: Upload, agent: FakeAgent, seed: int) -> None:
    delete_documents_at_random_moments(upload, agent, count=100, seed=seed)


def test_a_bot_and_an_account_deleted_amid_the_work_are_gone(
    upload: Upload, agent: FakeAgent, bot: Bot, stranger: User
) -> None:
    seed = random.randrange(10**6)
    agent.seconds = 0.3
    other = bots.create_bot(owner=stranger, name="Other")
    BotVersion.objects.update(chunk_chars=150, chunk_overlap=0)
    with workers(1):
        for number in range(3):
            upload(text(number))
            upload(text(number), bot=other)
        eventually(lambda: agent.requests["embed"], seconds=20)
        bots.delete_bot(bot=bot)
        users.delete_account(user=stranger)
        check_all_gone_for_good(agent, seed=seed)
        assert eventually(lambda: not Bot.objects.exists(), seconds=10)
        assert eventually(lambda: not User.objects.filter(pk=stranger.pk).exists(), seconds=10)


@pytest.mark.parametrize("what", ["document", "bot"])
def test_what_is_deleted_while_another_index_is_built_is_gone_from_both(
    upload: Upload, agent: FakeAgent, bot: Bot, what: str
) -> None:
    luck = random.Random(seed := random.randrange(10**6))
    BotVersion.objects.update(chunk_chars=150, chunk_overlap=0)
    with workers(1) as running:
        documents = [upload(text(number)) for number in range(4)]
        assert eventually(lambda: not Document.objects.exclude(state="ready").exists(), seconds=60)
        agent.seconds = 0.2
        build = indexes.start_build(bot=Bot.objects.get(pk=bot.pk), embedding=OTHER_EMBEDDING)
        assert build is not None
        eventually(lambda: agent.vectors[build.index.namespace], seconds=20)
        time.sleep(luck.uniform(0, 0.5))
        if what == "bot":
            bots.delete_bot(bot=bot)
        for document in documents if what == "document" else []:
            services.delete_document(document=document)
        running[0].kill()
        running[0].start()
        check_all_gone_for_good(agent, seed=seed)
