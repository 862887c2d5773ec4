"""GET /api/v1/bots/{id}/documents/events/ over real HTTP, as in production."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from django.db import connection
from django.db.models.functions import Now
from pytest_django import Settings

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.config.asgi import application
from backend.documents import claims, events, services
from backend.documents.models import Document, State
from backend.users import services as users
from backend.users.models import Session, User
from tests.serving import PLAIN, serve

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_queue", "empty_storage")]

Upload = Callable[..., Document]
PATIENCE = 30.0


@pytest.fixture
def web(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.1)
    with serve(application) as url:
        yield f"{url}/api/v1"


@pytest.fixture
def client(web: str, owner: User) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {users.open_session(user=owner, user_agent='tests').access}"}
    with httpx.Client(base_url=web, headers=headers, timeout=PATIENCE, trust_env=False, verify=PLAIN) as client:
        yield client


class Reader:
    """Reads one event after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()
        self.position = ""
        self.heartbeats = 0

    def next(self) -> tuple[str, dict[str, Any]]:
        name = ""
        for line in self._lines:
            kind, _, rest = line.partition(": ")
            if kind == "id":
                self.position = rest
            elif kind == "event":
                name = rest
            elif kind == "data":
                return name, json.loads(rest)
            elif line.startswith(":"):
                self.heartbeats += 1
        return "", {}

    def until(self, wanted: Callable[[str, dict[str, Any]], bool]) -> list[tuple[str, dict[str, Any]]]:
        """All events up to the one that is wanted."""
        deadline = time.monotonic() + PATIENCE
        read: list[tuple[str, dict[str, Any]]] = []
        while not read or not wanted(*read[-1]):
            assert time.monotonic() < deadline, read
            read.append(self.next())
            assert read[-1][0], f"the stream ended after {read}"
        return read


@pytest.fixture
def watch(client: httpx.Client, bot: Bot) -> Iterator[Callable[..., Reader]]:
    with ExitStack() as stack:

        def opened(after: str = "", of: Bot = bot) -> Reader:
            headers = {"accept": "text/event-stream"} | ({"last-event-id": after} if after else {})
            request = client.stream("GET", f"/bots/{of.pk}/documents/events/", headers=headers)
            response = stack.enter_context(request)
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"] == "text/event-stream"
            return Reader(response)

        yield opened


def is_state(document: Document, state: str) -> Callable[[str, dict[str, Any]], bool]:
    return lambda name, data: name == "document" and (data["id"], data["state"]) == (str(document.pk), state)


def test_changes_are_told_as_they_happen(watch: Callable[..., Reader], upload: Upload) -> None:
    before = upload(b"Before.")
    reader = watch()
    assert reader.next()[0] == "open"
    reader.until(is_state(before, "queued"))
    [claim] = [claim for claim in claims.take() if claim.document_id == before.pk]
    claims.write(claim, stage="extracting", pages_done=3, pages_total=7)
    told = reader.until(lambda _, data: data.get("stage") == "extracting")[-1][1]
    assert told["progress"]["pages"] == {"done": 3, "total": 7}
    after = upload(b"After.", "after.txt")
    reader.until(is_state(after, "queued"))
    services.delete_document(document=after)
    reader.until(lambda name, data: name == "deleted" and data["id"] == str(after.pk))


def test_a_lease_that_is_only_renewed_is_no_event(watch: Callable[..., Reader], upload: Upload) -> None:
    document = upload(b"One.")
    [claim] = claims.take()
    reader = watch()
    reader.until(is_state(document, "processing"))
    for _ in range(5):
        claims.renew([claim])
        time.sleep(0.15)
    services.change(document=document, title="Changed")
    told = reader.until(lambda _, data: data.get("title") == "Changed")
    assert len(told) <= 2  # the poll may tell the opening's document once more


def test_a_reader_that_comes_back_learns_what_it_missed(
    watch: Callable[..., Reader], upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed, gone, old = upload(b"One."), upload(b"Two.", "two.txt"), upload(b"Three.", "three.txt")
    Document.objects.filter(pk=old.pk).update(state=State.FAILED, updated_at="2020-01-01T00:00:00Z")
    reader = watch()
    reader.until(is_state(missed, "queued"))
    reader.response.close()
    Document.objects.filter(pk=missed.pk).update(state=State.CANCELLED, updated_at=Now())
    services.delete_document(document=gone)
    again = watch(after=reader.position)
    read = again.until(lambda name, _: name == "deleted")
    assert [data["state"] for name, data in read if name == "document"] == ["cancelled"]
    assert read[-1][1]["id"] == str(gone.pk)


def test_a_silent_stream_has_a_heartbeat(watch: Callable[..., Reader], settings: Settings, upload: Upload) -> None:
    assert settings.STREAM_HEARTBEAT.total_seconds() <= 15
    settings.STREAM_HEARTBEAT = settings.STREAM_HEARTBEAT / 50
    reader = watch()
    assert reader.next()[0] == "open"
    time.sleep(1)
    document = upload(b"One.")
    reader.until(is_state(document, "queued"))
    assert reader.heartbeats >= 1


def test_a_stream_ends_with_its_session(watch: Callable[..., Reader], owner: User) -> None:
    reader = watch()
    assert reader.next()[0] == "open"
    Session.objects.filter(user=owner).update(revoked_at=Now())
    assert reader.until(lambda name, _: name == "end")[-1] == ("end", {"code": "session_ended"})
    assert reader.next() == ("", {})


def test_a_stream_ends_with_its_bot(watch: Callable[..., Reader], bot: Bot) -> None:
    reader = watch()
    assert reader.next()[0] == "open"
    bots.delete_bot(bot=bot)
    assert reader.until(lambda name, _: name == "end")[-1] == ("end", {"code": "bot_deleted"})


def test_one_person_has_so_many_streams_and_a_new_one_ends_the_oldest(
    watch: Callable[..., Reader], upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STREAMS_OF_ONE", 2)
    oldest, second, newest = (watch() for _ in range(3))
    assert oldest.until(lambda name, _: name == "end")[-1] == ("end", {"code": "too_many_streams"})
    document = upload(b"One.")
    for reader in (second, newest):
        reader.until(is_state(document, "queued"))


def test_another_bots_documents_are_not_told(
    watch: Callable[..., Reader], upload: Upload, owner: User, stranger: User
) -> None:
    other = bots.create_bot(owner=owner, name="Other")
    reader, of_other = watch(), watch(of=other)
    assert reader.next()[0] == "open"
    of_other.until(is_state(upload(b"Other.", bot=other), "queued"))
    upload(b"Foreign.", bot=bots.create_bot(owner=stranger, name="Foreign"))
    mine = upload(b"Mine.")
    assert [data["id"] for _, data in reader.until(is_state(mine, "queued"))] == [str(mine.pk)]


def test_only_the_owner_watches(client: httpx.Client, stranger: User) -> None:
    foreign = bots.create_bot(owner=stranger, name="Foreign", visibility="public")
    response = client.get(f"/bots/{foreign.pk}/documents/events/", headers={"accept": "text/event-stream"})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    bare = httpx.get(f"{client.base_url}bots/{foreign.pk}/documents/events/", trust_env=False)
    assert bare.status_code == 401


def test_more_streams_than_connections_stop_nothing_and_share_one_poll(
    watch: Callable[..., Reader], client: httpx.Client, upload: Upload, settings: Settings
) -> None:
    readers = [watch() for _ in range(settings.DATABASE_POOL_SIZE + 8)]
    assert {reader.next()[0] for reader in readers} == {"open"}
    time.sleep(1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert cursor.fetchone()[0] <= settings.DATABASE_POOL_SIZE + 1
    assert client.get("/bots/").status_code == 200
    document = upload(b"One.")
    for reader in readers:
        reader.until(is_state(document, "queued"))


def test_a_place_to_resume_at_is_a_number_or_ignored() -> None:
    places = {"": None, "12": 12, "x": None, "-1": None, "9" * 17: None, "\u0661": None, "1" * 16: int("1" * 16)}
    assert {given: events.resume_position({"Last-Event-ID": given}, {}) for given in places} == places
    assert {given: events.resume_position({}, {"after": given}) for given in places} == places
