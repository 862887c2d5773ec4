"""A public channel followed by its preview pages, without an account."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from pytest_django import Settings

from backend.bots.models import Bot
from backend.sources import services, syncing
from backend.sources.errors import SourceInvalid
from backend.sources.models import Source, SourceState
from tests.backend.telegram.fixtures import numbers, stored_posts, sync_again, texts
from tests.emulators.telegram.preview import PreviewEmulator
from tests.emulators.telegram.world import Channel, World
from tests.serving import serve

Follow = Callable[..., Source]


@pytest.fixture
def preview(settings: Settings) -> Iterator[PreviewEmulator]:
    emulator = PreviewEmulator(World())
    with serve(emulator.app) as url:
        settings.TELEGRAM_PREVIEW_URL = url
        settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        settings.FETCH_PORTS = [urlsplit(url).port]
        settings.WEB_DELAY_SECONDS = 0.0
        settings.INGEST_HEARTBEAT = timedelta(hours=1)
        yield emulator


@pytest.fixture
def harbour(preview: PreviewEmulator) -> Channel:
    return preview.world.channel("Harbour news", "harbour")


@pytest.fixture
def follow(bot: Bot) -> Follow:
    def followed(channel: str = "https://t.me/s/harbour") -> Source:
        source = services.create_source(bot=bot, kind="telegram_preview", configuration={"channel": channel})
        syncing.sync(source.pk)
        source.refresh_from_db()
        return source

    return followed


def test_every_post_arrives_once_oldest_first(follow: Follow, harbour: Channel) -> None:
    harbour.posts(130)
    source = follow()
    assert (source.state, source.error_code, source.title) == (SourceState.IDLE, "", "@harbour")
    assert numbers(source) == list(range(1, 131))


def test_a_post_carries_its_own_link_author_and_date(follow: Follow, harbour: Channel) -> None:
    harbour.post("First line\n2 < 3 & more", post_author="Ida")
    assert stored_posts(follow()) == [
        {
            "number": 1,
            "text": "First line\n2 < 3 & more",
            "link": "https://t.me/harbour/1",
            "author": "Ida",
            "dated": "2024-03-01T09:01:00+00:00",
            "reply_to": 0,
        }
    ]


def test_what_has_no_text_is_skipped_and_counted(follow: Follow, harbour: Channel) -> None:
    harbour.service()
    harbour.photo()
    harbour.forward("From afar", name="Jan")
    source = follow()
    assert [post["author"] for post in stored_posts(source)] == ["Harbour news, forwarded from Jan"]
    assert (source.counts["skipped_media"], source.counts["skipped_service"]) == (1, 1)


def test_edits_deletions_and_new_posts_are_followed(follow: Follow, harbour: Channel) -> None:
    harbour.posts(30)
    source = follow()
    harbour.edit(7, "Corrected.")
    harbour.delete(8)
    harbour.posts(1)
    sync_again(source)
    assert texts(source)[6] == "Corrected."
    assert numbers(source) == [*range(1, 8), *range(9, 32)]


def test_a_channel_without_a_preview_is_said_to_have_none(follow: Follow, harbour: Channel) -> None:
    harbour.private = True
    source = follow()
    assert (source.state, source.error_code) == (SourceState.FAILED, "telegram_no_preview")


def test_when_asked_for_patience_it_waits(follow: Follow, harbour: Channel, preview: PreviewEmulator) -> None:
    harbour.posts(3)
    preview.status, preview.retry_after = 429, "90"
    source = follow()
    assert (source.state, source.error_code) == (SourceState.QUEUED, "telegram_flood_wait")
    assert source.wake_at is not None
    assert source.wake_at - timezone.now() > timedelta(seconds=80)
    preview.status = 200
    sync_again(source)
    assert numbers(source) == [1, 2, 3]


def test_a_server_in_trouble_is_asked_again_later(follow: Follow, harbour: Channel, preview: PreviewEmulator) -> None:
    preview.status = 502
    source = follow()
    assert (source.state, source.error_code) == (SourceState.QUEUED, "telegram_unreachable")


def test_an_invitation_has_no_preview(bot: Bot) -> None:
    with pytest.raises(SourceInvalid) as refused:
        services.create_source(bot=bot, kind="telegram_preview", configuration={"channel": "https://t.me/+AbCdEfGh12"})
    assert refused.value.code == "telegram_no_preview"
