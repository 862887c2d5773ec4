"""R18: whose document is next, and that one owner never has all of a worker."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.documents import claims, turns
from backend.documents.models import Document, State, Turn
from backend.documents.slots import Slot
from backend.users.models import User
from tests.backend.documents.fake_agent import FakeAgent

Upload = Callable[..., Document]
pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture
def others_bot(stranger: User) -> Bot:
    return bots.create_bot(owner=stranger, name="Other")


def large(number: int) -> bytes:
    return f"Document {number}. ".encode().ljust(turns.SMALL_BYTES + 1, b"x")


def small(number: int) -> bytes:
    return f"Small document {number}.".encode()


def taken() -> list[Document]:
    return [Document.objects.get(pk=claim.document_id) for claim in claims.take()]


def reminders() -> set[str]:
    waiting = ProcrastinateJob.objects.filter(task_name=claims.INGEST, status="todo")
    return {job.args["document_id"] for job in waiting}


def test_an_owner_with_less_in_work_goes_first(upload: Upload, others_bot: Bot) -> None:
    mine = [upload(large(number)) for number in range(3)]
    theirs = upload(large(9), bot=others_bot)
    assert [taken() for _ in range(4)] == [[mine[0]], [theirs], [mine[1]], [mine[2]]]


def test_of_owners_with_as_much_in_work_the_one_served_longest_ago_is_next(upload: Upload, others_bot: Bot) -> None:
    mine = [upload(large(number)) for number in range(3)]
    theirs = [upload(large(number), bot=others_bot) for number in range(10, 12)]
    order = []
    for _ in range(5):
        order += taken()
        Document.objects.filter(state=State.PROCESSING).update(state=State.CANCELLED)
    assert order == [mine[0], theirs[0], mine[1], theirs[1], mine[2]]


def test_small_documents_of_one_bot_go_together(upload: Upload, bot: Bot) -> None:
    beside = bots.create_bot(owner=bot.owner, name="Beside")
    first, second = upload(small(1)), upload(small(2))
    big, other = upload(large(3)), upload(small(4), bot=beside)
    assert [taken() for _ in range(4)] == [[first, second], [big], [other], []]


def test_a_batch_is_bounded_in_number_and_bytes(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BATCH_DOCUMENTS", 3)
    for number in range(10, 15):
        upload(small(number))
    assert [len(taken()) for _ in range(2)] == [3, 2]
    monkeypatch.setattr(turns, "BATCH_BYTES", 2 * len(small(20)))
    for number in range(20, 23):
        upload(small(number))
    assert [len(taken()) for _ in range(2)] == [2, 1]


def test_what_must_wait_or_is_held_is_not_taken(upload: Upload) -> None:
    upload(large(1))
    Document.objects.update(wake_at=Now() + timedelta(minutes=1))
    held = upload(large(2))
    assert taken() == [held]
    assert taken() == []


def test_taking_documents_forgets_their_reminders_only(upload: Upload) -> None:
    upload(small(1))
    upload(small(2))
    waits = upload(large(3))
    assert len(reminders()) == 3
    taken()
    assert reminders() == {str(waits.pk)}


def test_one_owner_never_has_all_slots_of_a_process(upload: Upload, others_bot: Bot, settings: Settings) -> None:
    settings.WORKER_CONCURRENCY = 3
    for number in range(4):
        upload(large(number))
    with Slot() as one, Slot() as two, Slot() as three:
        assert [len(slot.take(without=())) for slot in (one, two, three)] == [1, 1, 0]
        theirs = upload(large(9), bot=others_bot)
        assert [claim.document_id for claim in three.take(without=())] == [theirs.pk]
        assert [len(slot.take(without=())) for slot in (two, one)] == [1, 1]


def test_a_single_slot_is_everybodys(upload: Upload, settings: Settings) -> None:
    settings.WORKER_CONCURRENCY = 1
    upload(large(1))
    with Slot() as slot:
        assert len(slot.take(without=())) == 1


def test_reminders_of_an_owner_at_the_limit_are_put_off_and_those_of_others_stay(
    upload: Upload, others_bot: Bot, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = 2
    for number in range(5):
        upload(large(number))
    with Slot() as one, Slot() as two:
        assert one.take(without=())
        assert two.take(without=()) == []
        assert len(reminders()) == 1
        assert ProcrastinateJob.objects.get(task_name=claims.INGEST, status="todo").scheduled_at is not None
        theirs = upload(large(9), bot=others_bot)
        Document.objects.filter(pk=theirs.pk).update(wake_at=Now() + timedelta(minutes=1))
        assert two.take(without=()) == []
        assert str(theirs.pk) in reminders()


def test_how_many_come_before_one(upload: Upload, others_bot: Bot) -> None:
    mine = [upload(large(number)) for number in range(3)]
    theirs = [upload(large(number), bot=others_bot) for number in range(10, 16)]
    assert [claims.ahead(document) for document in mine] == [(1, 0), (3, 1), (5, 2)]
    assert claims.ahead(theirs[5]) == (8, 5)


def test_a_turn_goes_with_its_owner(upload: Upload, others_bot: Bot, agent: FakeAgent) -> None:
    upload(large(1), bot=others_bot)
    taken()
    Document.objects.all().delete()
    others_bot.delete()
    User.objects.get(email="stranger@example.com").delete()
    assert not Turn.objects.exists()
