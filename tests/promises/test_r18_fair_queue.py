"""R18, R15: what one person has waiting, and what keeps a worker busy for long, does not hold up another's document."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import time
from collections.abc import Callable

import pytest

from backend.bots import services as bots
from backend.bots.models import Bot, BotVersion
from backend.documents.models import Document, State
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.documents.fixtures import agent, agent_server, bot, empty_queue, fresh_process, upload
from tests.backend.documents.samples import endless_pdf
from tests.backend.documents.workers import eventually, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue")]

Upload = Callable[..., Document]


@pytest.fixture
def others_bot(stranger: User) -> Bot:
    return bots.create_bot(owner=stranger, name="Other")


def text(number: int) -> bytes:
    return "".join(f"Sentence {line} of document {number} says something else. " for line in range(60)).encode()


def seconds_until_ready(document: Document) -> float:
    begun = time.monotonic()
    ready = Document.objects.filter(pk=document.pk, state=State.READY)
    assert eventually(ready.exists, seconds=120)
    return time.monotonic() - begun


def check_one_is_not_held_up_by_many(upload: Upload, agent: FakeAgent, others_bot: Bot, *, many: int) -> None:
    agent.seconds = 0.3
    BotVersion.objects.update(chunk_chars=100, chunk_overlap=0)
    with workers(1):
        seconds_until_ready(upload(text(9000), bot=others_bot))
        solo = seconds_until_ready(upload(text(9001), bot=others_bot))
        for number in range(many):
            upload(text(number))
        assert eventually(lambda: Document.objects.filter(state=State.PROCESSING).exists(), seconds=60)
        among_many = seconds_until_ready(upload(text(9002), bot=others_bot))
        left = Document.objects.filter(state=State.QUEUED).count()
    assert left, "the many were done before the one had to wait"
    assert among_many <= 3 * solo, f"{among_many:.1f} s, alone {solo:.1f} s"


def test_one_document_is_not_held_up_by_another_persons_80(upload: Upload, agent: FakeAgent, others_bot: Bot) -> None:
    check_one_is_not_held_up_by_many(upload, agent, others_bot, many=80)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_document_is_not_held_up_by_another_persons_300(upload: Upload, agent: FakeAgent, others_bot: Bot) -> None:
    check_one_is_not_held_up_by_many(upload, agent, others_bot, many=300)


def test_files_that_take_a_minute_do_not_hold_up_another_persons_page(
    upload: Upload, agent: FakeAgent, others_bot: Bot
) -> None:
    for number in range(4):
        upload(endless_pdf(number), f"endless {number}.pdf")
    with workers(1, PARSER_SECONDS="45"):
        assert eventually(lambda: Document.objects.filter(state=State.PROCESSING).count() == 2, seconds=60)
        assert seconds_until_ready(upload(text(1), bot=others_bot)) < 15
        assert Document.objects.filter(state=State.PROCESSING).count() == 2
