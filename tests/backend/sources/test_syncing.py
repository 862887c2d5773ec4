"""What becomes of a run, whoever dies, pauses, deletes or disturbs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.files.storage import default_storage
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from backend.bots import services as bots
from backend.bots.models import Bot
from backend.core.jobs import draining
from backend.documents import services as documents
from backend.documents.models import Document, State
from backend.sources import claims, erasure, services, sweeping, syncing
from backend.sources.connectors import Run, SyncFailed, SyncPostponed
from backend.sources.errors import DuplicateSource, NothingToResolve, SourceBusy, SourcePaused, TooManySources
from backend.sources.models import Host, Item, ItemState, Source, SourceState
from backend.webhooks.models import Delivery, Endpoint, Event
from tests.backend.documents.fake_agent import FakeAgent
from tests.backend.sources.conftest import Work
from tests.backend.sources.stand_in import KIND, StandIn

Again = Callable[..., Source]


class WorkerDied(BaseException):
    """As a kill: nothing catches it."""


def titles() -> list[str]:
    return sorted(Document.objects.exclude(state=State.DELETING).values_list("title", flat=True))


def waiting(task: str) -> int:
    return ProcrastinateJob.objects.filter(status="todo", task_name=task).count()


def due_now(source: Source) -> None:
    Source.objects.filter(pk=source.pk).update(wake_at=None, lease_until=Now() - timedelta(seconds=1))
    sweeping.sweep()


@contextmanager
def stopping_at(stand_in: StandIn, name: str, stop: Callable[[Run], None]) -> Iterator[None]:
    def before(run: Run, at: str) -> None:
        if at == name:
            stop(run)

    stand_in.before = before
    yield
    stand_in.before = lambda run, name: None


def raising(exc: BaseException) -> Callable[[Run], None]:
    def stop(_: Run) -> None:
        raise exc

    return stop


def test_a_sync_makes_documents_and_says_what_it_did(synced: Source) -> None:
    assert titles() == ["a", "b", "c"]
    assert (synced.state, synced.run, synced.counts, synced.cursor) == (SourceState.IDLE, 1, {"new": 3}, None)
    assert synced.synced_at is not None
    assert synced.next_sync_at is None
    assert {document.state for document in Document.objects.all()} == {State.READY}


def test_the_next_sync_follows_changes(synced: Source, stand_in: StandIn, again: Again) -> None:
    stand_in.place |= {"a": "Another text of a.", "d": "Text of d."}
    del stand_in.place["b"]
    source = again(synced)
    assert source.counts == {"changed": 1, "unchanged": 1, "new": 1, "removed": 1}
    assert titles() == ["a", "c", "d"]


def test_a_title_its_owner_has_chosen_stays(synced: Source, stand_in: StandIn, again: Again) -> None:
    documents.rename(document=Document.objects.get(title="a"), title="My own title")
    stand_in.place["a"] = "Another text."
    again(synced)
    assert titles() == ["My own title", "b", "c"]


def test_a_killed_worker_is_followed_by_one_that_goes_on(source: Source, stand_in: StandIn, work: Work) -> None:
    with stopping_at(stand_in, "c", raising(WorkerDied())), pytest.raises(WorkerDied):
        work()
    assert Source.objects.get().state == SourceState.SYNCING
    due_now(source)
    work()
    source.refresh_from_db()
    assert (source.state, source.run, source.counts) == (SourceState.IDLE, 1, {"new": 3})
    assert stand_in.asked == ["a", "b", "c"]


def test_a_worker_that_sleeps_through_its_lease_writes_nothing(source: Source, stand_in: StandIn, work: Work) -> None:
    def overtaken(run: Run) -> None:
        due_now(source)
        assert claims.take(source.pk) is not None

    with stopping_at(stand_in, "b", overtaken):
        work()
    assert titles() == ["a"]
    assert Source.objects.get().state == SourceState.SYNCING


def test_a_worker_that_is_asked_to_stop_hands_it_back(source: Source, stand_in: StandIn, work: Work) -> None:
    def stop(run: Run) -> None:
        draining.set()
        run.check()

    with stopping_at(stand_in, "b", stop):
        syncing.sync(source.pk)
    draining.clear()
    source.refresh_from_db()
    assert (source.state, source.lease_until, source.counts) == (SourceState.QUEUED, None, {"new": 1})
    work()
    assert titles() == ["a", "b", "c"]


def test_everybody_has_a_turn(source: Source, stand_in: StandIn, settings: Settings, work: Work) -> None:
    settings.SOURCE_TURN_SECONDS = 0
    assert work().count(claims.SYNC) == 4
    source.refresh_from_db()
    assert (source.state, source.run, stand_in.asked) == (SourceState.IDLE, 1, ["a", "b", "c"])


def test_a_place_that_asks_for_patience_frees_the_worker(source: Source, stand_in: StandIn, work: Work) -> None:
    stop = raising(SyncPostponed(timedelta(hours=1), "flood_wait", "Not so fast.", "It goes on by itself."))
    with stopping_at(stand_in, "b", stop):
        work()
    source.refresh_from_db()
    assert (source.state, source.error_code, source.cursor) == (SourceState.QUEUED, "flood_wait", {"done": 1})
    sweeping.sweep()
    work()
    assert stand_in.asked == ["a"]
    due_now(source)
    work()
    source.refresh_from_db()
    assert (source.state, source.error_code, stand_in.asked) == (SourceState.IDLE, "", ["a", "b", "c"])


def test_a_place_that_cannot_be_read_says_why_and_loses_nothing(
    synced: Source, stand_in: StandIn, again: Again
) -> None:
    with stopping_at(stand_in, "a", raising(SyncFailed("place_private", "It is private.", "Ask them."))):
        source = again(synced)
    assert (source.state, source.error_code, source.error_hint) == (SourceState.FAILED, "place_private", "Ask them.")
    assert titles() == ["a", "b", "c"]
    source = again(source)
    assert (source.state, source.error_code) == (SourceState.IDLE, "")


def test_a_run_that_failed_is_followed_by_the_next_of_its_schedule(
    synced: Source, stand_in: StandIn, again: Again, work: Work
) -> None:
    services.update_source(source=synced, changes={"every_minutes": 60})
    with stopping_at(stand_in, "a", raising(SyncFailed("place_private", "It is private.", "Ask them."))):
        again(synced)
    Source.objects.update(next_sync_at=Now())
    sweeping.sweep()
    synced.refresh_from_db()
    assert (synced.state, synced.error_code) == (SourceState.QUEUED, "")
    work()
    synced.refresh_from_db()
    assert (synced.state, synced.run) == (SourceState.IDLE, 3)


def test_whoever_listens_is_told_how_each_run_ended(synced: Source, stand_in: StandIn, again: Again) -> None:
    events = [Event.SOURCE_SYNCED, Event.SOURCE_FAILED]
    Endpoint.objects.create(owner=synced.bot.owner, url="https://x.example/", events=events)
    with stopping_at(stand_in, "a", raising(SyncFailed("place_private", "It is private.", "Ask them."))):
        again(synced)
    again(synced)
    failed, read = Delivery.objects.order_by("pk")
    assert (failed.event, read.event) == ("source.failed", "source.synced")
    named = {"source": str(synced.pk), "bot": str(synced.bot_id), "kind": KIND, "title": "place"}
    assert failed.data == {**named, "code": "place_private", "message": "It is private.", "hint": "Ask them."}
    assert read.data == {**named, "new": 0, "changed": 0, "removed": 0, "failed": 0}


def test_runs_that_had_failed_before_are_told_apart(bot: Bot) -> None:
    def there_was(name: str, **fields: Any) -> Source:
        return Source.objects.create(bot=bot, kind=KIND, title=name, identity=name, configuration={}, **fields)

    there_was("failed", state="idle", error_code="place_private")
    there_was("paused midway", state="idle", error_code="flood_wait", cursor={"done": 1})
    there_was("read", state="idle")
    there_was("waiting", state="queued", error_code="flood_wait")
    migration = import_module("backend.sources.migrations.0002_a_run_that_failed")
    migration.tell_what_failed(apps, None)
    assert Source.objects.get(state=SourceState.FAILED).title == "failed"


def test_an_error_of_ours_is_tried_again_and_then_told(source: Source, stand_in: StandIn, work: Work) -> None:
    with stopping_at(stand_in, "b", raising(ZeroDivisionError())):
        for _ in range(20):
            work()
            due_now(source)
    source.refresh_from_db()
    assert (source.state, source.error_code) == (SourceState.FAILED, "internal_error")


def test_a_kind_nobody_reads_any_more_says_so(source: Source, stand_in: StandIn, work: Work) -> None:
    Source.objects.update(kind="long gone")
    work()
    source.refresh_from_db()
    assert (source.state, source.error_code) == (SourceState.FAILED, "source_kind_unknown")


def test_lost_jobs_are_remembered_by_the_rows(source: Source, stand_in: StandIn, work: Work) -> None:
    ProcrastinateJob.objects.all()._raw_delete("default")
    sweeping.sweep()
    sweeping.sweep()
    assert waiting(claims.SYNC) == 1
    work()
    assert titles() == ["a", "b", "c"]


# --- Schedules, pauses, switches


def test_a_schedule_is_kept(bot: Any, stand_in: StandIn, work: Work) -> None:
    source = services.create_source(bot=bot, kind=KIND, configuration={"name": "x"}, every_minutes=60)
    work()
    source.refresh_from_db()
    assert source.next_sync_at is not None
    assert timedelta(minutes=59) < source.next_sync_at - timezone.now() <= timedelta(minutes=60)
    sweeping.sweep()
    assert waiting(claims.SYNC) == 0
    Source.objects.update(next_sync_at=Now() - timedelta(seconds=1))
    sweeping.sweep()
    work()
    source.refresh_from_db()
    assert (source.run, source.counts) == (2, {"unchanged": 3})


def test_a_paused_source_rests_and_then_goes_on(source: Source, stand_in: StandIn, work: Work) -> None:
    def pause(run: Run) -> None:
        services.update_source(source=source, changes={"paused": True})

    with stopping_at(stand_in, "b", pause):
        work()
    source.refresh_from_db()
    assert (source.state, source.cursor, titles()) == (SourceState.IDLE, {"done": 1}, ["a"])
    sweeping.sweep()
    work()
    assert titles() == ["a"]
    with pytest.raises(SourcePaused):
        services.sync_now(source=source)
    services.update_source(source=source, changes={"paused": False})
    work()
    source.refresh_from_db()
    assert (source.state, source.run, stand_in.asked) == (SourceState.IDLE, 1, ["a", "b", "b", "c"])


def test_a_source_that_is_switched_off_answers_nothing_also_with_what_comes_later(
    synced: Source, stand_in: StandIn, again: Again
) -> None:
    services.update_source(source=synced, changes={"enabled": False})
    stand_in.place["d"] = "Text of d."
    again(synced)
    assert set(Document.objects.values_list("title", "enabled")) == {(name, False) for name in "abcd"}
    services.update_source(source=synced, changes={"enabled": True})
    assert set(Document.objects.values_list("enabled", flat=True)) == {True}


def test_it_is_not_synced_twice_at_once(source: Source) -> None:
    with pytest.raises(SourceBusy):
        services.sync_now(source=source)


# --- Items


def test_an_item_that_cannot_be_a_document_says_why(synced: Source, stand_in: StandIn, again: Again) -> None:
    stand_in.place |= {"a": "", "d": "Text of d."}
    source = again(synced)
    item = services.failed_items(source).get()
    assert (item.external_id, item.error_code) == ("a", "empty_file")
    assert titles() == ["a", "b", "c", "d"]


def test_an_item_is_tried_again_alone(synced: Source, stand_in: StandIn, again: Again, work: Work) -> None:
    stand_in.place["a"] = ""
    source = again(synced)
    stand_in.place["a"] = "Text at last."
    stand_in.asked.clear()
    services.resolve_item(source=source, item=services.failed_items(source).get(), action=services.RETRY)
    work()
    assert stand_in.asked == ["a"]
    assert not services.failed_items(source).exists()
    assert Source.objects.get().extent == "usual"


def test_an_item_the_place_has_no_more_does_not_wait_for_ever(
    synced: Source, stand_in: StandIn, again: Again, work: Work
) -> None:
    stand_in.place["a"] = ""
    source = again(synced)
    del stand_in.place["a"]
    assert services.resolve_all(source=source, action=services.RETRY) == 1
    work()
    assert services.failed_items(source).get().error_code == "not_offered"


def test_a_dismissed_error_is_not_heard_of_again(synced: Source, stand_in: StandIn, again: Again) -> None:
    stand_in.place["a"] = ""
    source = again(synced)
    assert services.resolve_all(source=source, action=services.DISMISS) == 1
    again(source)
    assert not services.failed_items(source).exists()
    assert Item.objects.get(external_id="a").state == ItemState.DISMISSED
    with pytest.raises(NothingToResolve):
        services.resolve_item(source=source, item=Item.objects.get(external_id="b"), action=services.DISMISS)


def test_a_document_that_failed_is_an_error_of_its_item(synced: Source, agent: FakeAgent, work: Work) -> None:
    Document.objects.filter(title="a").update(state=State.FAILED, error_code="no_text")
    item = services.failed_items(synced).get()
    assert item.external_id == "a"
    services.resolve_item(source=synced, item=item, action=services.RETRY)
    work()
    assert Document.objects.get(title="a").state == State.READY
    assert not services.failed_items(synced).exists()


def test_what_its_owner_deletes_stays_away_until_they_want_it_back(
    synced: Source, stand_in: StandIn, again: Again, work: Work
) -> None:
    documents.delete_document(document=Document.objects.get(title="a"))
    work()
    stand_in.place["a"] = "Another text."
    source = again(synced)
    assert titles() == ["b", "c"]
    item = Item.objects.get(external_id="a")
    assert (item.state, item.error_code) == (ItemState.SKIPPED, "document_deleted")
    services.resolve_item(source=source, item=item, action=services.RETRY)
    work()
    assert titles() == ["a", "b", "c"]


def test_a_source_has_no_more_items_than_it_may(source: Source, settings: Settings, work: Work) -> None:
    settings.SOURCE_ITEMS_LIMIT = 2
    work()
    source.refresh_from_db()
    assert source.counts == {"new": 2, "over_limit": 1}
    assert titles() == ["a", "b"]


def test_the_same_content_elsewhere_in_the_bot_is_left_out(source: Source, bot: Any, work: Work) -> None:
    documents.paste_text(bot=bot, title="Pasted", text="Text of a.")
    work()
    item = Item.objects.get(external_id="a")
    assert (item.state, item.error_code) == (ItemState.SKIPPED, "duplicate_document")
    assert "Pasted" in item.error_message


# --- Deletion


def test_a_deleted_source_takes_everything_along(
    synced: Source, stand_in: StandIn, agent: FakeAgent, work: Work
) -> None:
    deleted, keys = synced.pk, list(Document.objects.values_list("file", flat=True))
    services.delete_source(source=synced)
    assert set(Document.objects.values_list("enabled", flat=True)) == {False}
    erasure.erase(deleted)
    assert Source.objects.filter(pk=deleted).exists()  # as long as anything of it is left
    for _ in range(3):
        work()
        sweeping.sweep()
    assert not Source.objects.exists()
    assert not Item.objects.exists()
    assert not Document.objects.exists()
    assert not agent.all_ids()
    assert not any(default_storage.exists(key) for key in keys)
    assert stand_in.forgotten == [deleted]


def test_a_source_deleted_while_it_is_read_leaves_nothing(source: Source, stand_in: StandIn, work: Work) -> None:
    with stopping_at(stand_in, "b", lambda run: services.delete_source(source=source)):
        work()
    for _ in range(3):
        work()
        sweeping.sweep()
    assert not Source.objects.exists()
    assert not Document.objects.exists()


def test_a_deleted_bot_takes_its_sources_along(synced: Source, stand_in: StandIn, work: Work) -> None:
    deleted = synced.pk
    bots.delete_bot(bot=synced.bot)
    sweeping.sweep()
    work()
    assert not Source.objects.exists()
    assert not Document.objects.exists()
    assert stand_in.forgotten == [deleted]


def test_the_source_of_a_deleted_bot_is_not_read(source: Source, stand_in: StandIn, work: Work) -> None:
    with stopping_at(stand_in, "b", lambda run: bots.delete_bot(bot=source.bot)):
        work()
    assert not Source.objects.exists()
    assert not Document.objects.exists()


# --- Limits


def test_a_bot_has_no_more_sources_than_it_may(bot: Any, stand_in: StandIn, settings: Settings) -> None:
    settings.SOURCES_LIMIT = 2
    for name in "xy":
        services.create_source(bot=bot, kind=KIND, configuration={"name": name})
    with pytest.raises(TooManySources):
        services.create_source(bot=bot, kind=KIND, configuration={"name": "z"})


def test_the_same_place_twice_is_once(source: Source, bot: Any) -> None:
    with pytest.raises(DuplicateSource) as refused:
        services.create_source(bot=bot, kind=KIND, configuration={"name": "place"})
    assert refused.value.details["id"] == str(source.pk)


def test_hosts_nobody_asks_any_more_are_forgotten(db: None) -> None:
    Host.objects.create(name="old.example", free_at=timezone.now() - timedelta(days=1))
    Host.objects.create(name="new.example", free_at=timezone.now())
    sweeping.sweep()
    assert list(Host.objects.values_list("name", flat=True)) == ["new.example"]
