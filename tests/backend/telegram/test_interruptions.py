"""Whatever stops a run, the next one goes on where it was, and no post is lost or read twice into a document."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from backend.sources.models import Source, SourceState
from backend.telegram.models import TelegramSession
from tests.backend.telegram.fixtures import numbers, sync_again
from tests.emulators.telegram.server import TelegramEmulator
from tests.emulators.telegram.world import Channel

Follow = Callable[..., Source]


@pytest.mark.parametrize("does", ["drop", "half"])
def test_a_broken_connection_costs_nothing(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, does: str
) -> None:
    harbour.posts(350)
    telegram.script.add("GetHistory", does, after=2)
    source = follow()
    assert (source.error_code, numbers(source)) == ("", list(range(1, 351)))


@pytest.mark.parametrize("does", ["short", "empty"])
def test_a_page_with_less_than_there_is_hides_nothing(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, does: str
) -> None:
    harbour.posts(350)
    telegram.script.add("GetHistory", does, after=1, times=2)
    assert numbers(follow()) == list(range(1, 351))


def test_a_flood_wait_is_kept_to_and_the_run_goes_on_after_it(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator
) -> None:
    harbour.posts(350)
    telegram.script.add("GetHistory", "420 FLOOD_WAIT_37", after=3)
    source = follow()
    assert (source.state, source.error_code) == (SourceState.QUEUED, "telegram_flood_wait")
    assert source.error_message == "Telegram asks for patience: 37 seconds."
    assert source.wake_at is not None
    assert timedelta(seconds=35) < source.wake_at - timezone.now() <= timedelta(seconds=38)
    assert numbers(source) == list(range(1, 201))
    _time_passes()
    sync_again(source)
    assert (source.state, numbers(source)) == (SourceState.IDLE, list(range(1, 351)))


def test_while_telegram_wants_patience_no_other_source_asks_the_same(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator
) -> None:
    harbour.posts(10)
    telegram.world.channel("Pilots", "pilots").posts(10)
    telegram.script.add("GetHistory", "420 FLOOD_WAIT_37")
    follow()
    asked = len(telegram.called("GetHistory"))
    assert follow("@pilots").error_code == "telegram_flood_wait"
    assert len(telegram.called("GetHistory")) == asked


def test_floods_at_every_other_request_do_not_keep_it_from_its_end(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator
) -> None:
    harbour.posts(350)
    for _ in range(4):
        telegram.script.add("GetHistory", "420 FLOOD_WAIT_10", after=1)
    source = follow()
    for _ in range(4):
        assert source.error_code == "telegram_flood_wait"
        _time_passes()
        sync_again(source)
    assert (source.error_code, numbers(source)) == ("", list(range(1, 351)))


def test_a_turn_reads_so_many_posts_and_hands_the_worker_on(
    follow: Follow, harbour: Channel, settings: Settings
) -> None:
    settings.TELEGRAM_POSTS_PER_RUN = 200
    harbour.posts(450)
    source = follow()
    assert (source.state, source.error_code, len(numbers(source))) == (SourceState.QUEUED, "", 200)
    sync_again(source)
    assert len(numbers(source)) == 400
    sync_again(source)
    assert (source.state, numbers(source)) == (SourceState.IDLE, list(range(1, 451)))


def test_an_answer_that_never_comes_is_not_waited_for(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, settings: Settings
) -> None:
    settings.TELEGRAM_REQUEST_SECONDS = 1.0
    harbour.posts(3)
    telegram.script.add("GetHistory", "silence")
    begun = time.monotonic()
    source = follow()
    assert (source.state, source.error_code) == (SourceState.QUEUED, "telegram_timeout")
    assert time.monotonic() - begun < 20
    sync_again(source)
    assert (source.error_code, numbers(source)) == ("", [1, 2, 3])


def test_what_cannot_be_reached_is_tried_later_each_time_and_then_given_up_until_the_next_sync(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, settings: Settings
) -> None:
    settings.INGEST_TRIES = 3
    harbour.posts(3)
    telegram.script.add("GetHistory", "500 INTERNAL", times=None)
    settings.TELEGRAM_REQUEST_SECONDS = 1.0
    source = follow()
    pauses = []
    while source.state == SourceState.QUEUED:
        assert source.wake_at is not None
        pauses.append(round((source.wake_at - timezone.now()).total_seconds(), -1))
        sync_again(source)
    assert pauses == [30, 60]
    assert source.error_code in ("telegram_unreachable", "telegram_timeout")
    assert source.error_hint == "It is tried again with the next sync."


def test_one_source_at_a_time_uses_the_account(follow: Follow, harbour: Channel, session: TelegramSession) -> None:
    """Telegram ends a session that is used from two addresses at once."""
    harbour.posts(3)
    lease = timezone.now() + timedelta(seconds=30)
    TelegramSession.objects.update(holder=session.pk, lease_until=lease)
    source = follow()
    assert (source.state, source.error_code) == (SourceState.QUEUED, "telegram_busy")
    TelegramSession.objects.update(lease_until=timezone.now())  # whoever had it has died
    sync_again(source)
    assert (source.error_code, numbers(source)) == ("", [1, 2, 3])


def test_whoever_found_it_taken_has_it_next(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, settings: Settings
) -> None:
    settings.TELEGRAM_POSTS_PER_RUN = 100
    harbour.posts(500)
    telegram.world.channel("Pilots", "pilots").posts(3)
    long = follow()
    TelegramSession.objects.update(holder=long.pk, lease_until=timezone.now() + timedelta(seconds=30))
    short = follow("@pilots")
    assert short.error_code == "telegram_busy"
    TelegramSession.objects.update(holder=None)  # the turn of the long one is over
    sync_again(long)
    assert (long.error_code, len(numbers(long))) == ("telegram_busy", 100)
    sync_again(short)
    assert (short.error_code, numbers(short)) == ("", [1, 2, 3])
    sync_again(long)
    assert len(numbers(long)) == 200


def test_the_account_is_free_again_after_each_run(follow: Follow, harbour: Channel) -> None:
    harbour.posts(3)
    follow()
    assert TelegramSession.objects.get().holder is None


def _time_passes() -> None:
    TelegramSession.objects.update(waits={})
