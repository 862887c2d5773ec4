"""A channel followed with the operator's account: the real Telethon, over TCP, against an emulated data centre."""

import time
from collections.abc import Callable

import pytest
from pytest_django import Settings
from telethon.tl import types

from backend.bots.models import Bot
from backend.documents import services as documents
from backend.documents.models import Document, Kind
from backend.sources.models import Source, SourceState
from backend.telegram.models import Channel as Followed
from tests.backend.telegram.fixtures import numbers, stored_posts, sync_again, texts
from tests.emulators.telegram.server import TelegramEmulator
from tests.emulators.telegram.world import Account, Channel

Follow = Callable[..., Source]


def test_every_post_arrives_once_oldest_first(follow: Follow, harbour: Channel) -> None:
    harbour.posts(250)
    source = follow()
    assert (source.state, source.error_code, source.counts["posts"]) == (SourceState.IDLE, "", 250)
    assert numbers(source) == list(range(1, 251))


def test_a_post_carries_its_own_link_author_and_date(follow: Follow, harbour: Channel) -> None:
    harbour.post("The gates open at nine.", post_author="Ida")
    (post,) = stored_posts(follow())
    assert post == {
        "number": 1,
        "text": "The gates open at nine.",
        "link": "https://t.me/harbour/1",
        "author": "Ida",
        "dated": "2024-03-01T09:01:00+00:00",
        "reply_to": 0,
    }


def test_a_block_of_posts_is_a_document_of_the_channel(follow: Follow, harbour: Channel, bot: Bot) -> None:
    harbour.posts(101)
    follow()
    rows = Document.objects.filter(bot=bot).order_by("pk").values_list("title", "kind", "format", "link")
    assert list(rows) == [
        ("@harbour, posts 1-100", Kind.TELEGRAM, "telegram_posts", "https://t.me/harbour"),
        ("@harbour, posts 101-200", Kind.TELEGRAM, "telegram_posts", "https://t.me/harbour"),
    ]


def test_what_has_no_text_is_skipped_and_counted(follow: Follow, harbour: Channel) -> None:
    harbour.service()
    harbour.photo()
    harbour.photo("The new crane")
    harbour.photo()
    source = follow()
    assert texts(source) == ["The new crane"]
    assert {name: source.counts[name] for name in ("posts", "skipped_media", "skipped_service")} == {
        "posts": 1,
        "skipped_media": 2,
        "skipped_service": 1,
    }


def test_an_album_is_one_post_under_its_first_number(follow: Follow, harbour: Channel) -> None:
    harbour.photo(album=7)
    harbour.photo("Crane", album=7)
    harbour.photo("Quay", album=7)
    harbour.photo("Another", album=8)
    assert [(post["number"], post["text"]) for post in stored_posts(follow())] == [(1, "Crane\n\nQuay"), (4, "Another")]


@pytest.mark.parametrize(
    ("origin", "author"),
    [
        ({"title": "Tide tables"}, "Harbour news, forwarded from Tide tables"),
        ({"title": "Tide tables", "author": "Jan"}, "Harbour news, forwarded from Tide tables (Jan)"),
        ({"name": "A hidden person"}, "Harbour news, forwarded from A hidden person"),
        ({}, "Harbour news, forwarded from elsewhere"),
    ],
    ids=["channel", "signed", "hidden", "unknown"],
)
def test_a_forward_says_where_it_is_from(follow: Follow, harbour: Channel, origin: dict[str, str], author: str) -> None:
    harbour.forward("High water at six.", **origin)
    assert [post["author"] for post in stored_posts(follow())] == [author]


def test_in_a_group_the_author_is_who_wrote(follow: Follow, telegram: TelegramEmulator) -> None:
    group = telegram.world.channel("Dockers", "dockers", megagroup=True)
    group.written_by("Olaf", "Who has the keys?")
    assert [post["author"] for post in stored_posts(follow("@dockers"))] == ["Olaf"]


def test_a_channel_without_a_name_is_linked_by_number(
    follow: Follow, telegram: TelegramEmulator, account: Account
) -> None:
    crew = telegram.world.channel("Crew", invite="AbCdEfGh12", members={account.id})
    crew.post("Shift begins at six.")
    source = follow("https://t.me/+AbCdEfGh12")
    assert [post["link"] for post in stored_posts(source)] == [f"https://t.me/c/{crew.id}/1"]
    assert Document.objects.get(bot=source.bot).link == f"https://t.me/c/{crew.id}/1"


def test_a_file_that_is_called_like_a_path_is_only_a_caption(follow: Follow, harbour: Channel) -> None:
    harbour.file("../../x", "See the plan.")
    harbour.file("../../../../etc/cron.d/y")
    assert texts(follow()) == ["See the plan."]


def test_new_posts_are_read_from_where_the_last_run_came_to(follow: Follow, harbour: Channel) -> None:
    harbour.posts(450)
    source = follow()
    harbour.posts(5)
    sync_again(source)
    assert numbers(source) == list(range(1, 456))
    assert source.counts["posts"] == 255  # those looked at again, and the new ones
    assert source.counts["changed"] == 1


def test_an_edit_becomes_a_new_version_of_its_block_only(follow: Follow, harbour: Channel) -> None:
    harbour.posts(150)
    source = follow()
    harbour.edit(130, "The ferry is cancelled.")
    sync_again(source)
    assert texts(source)[129] == "The ferry is cancelled."
    assert (source.counts["changed"], source.counts["unchanged"]) == (1, 1)


def test_deleted_posts_disappear_and_so_does_an_empty_block(follow: Follow, harbour: Channel) -> None:
    harbour.posts(250)
    source = follow()
    harbour.delete(205, *range(101, 201))
    sync_again(source)
    assert numbers(source) == [*range(1, 101), *range(201, 205), *range(206, 251)]
    assert source.counts["removed"] == 1


def test_the_newest_posts_may_be_deleted_as_well(follow: Follow, harbour: Channel) -> None:
    harbour.posts(210)
    source = follow()
    harbour.delete(*range(190, 211))
    sync_again(source)
    assert numbers(source) == list(range(1, 190))


def test_an_old_edit_is_seen_when_everything_is_read_again(
    follow: Follow, harbour: Channel, settings: Settings
) -> None:
    settings.TELEGRAM_RECHECK_POSTS = 10
    harbour.posts(250)
    source = follow()
    harbour.edit(3, "Corrected.")
    sync_again(source)
    assert texts(source)[2] != "Corrected."
    sync_again(source, full=True)
    assert texts(source)[2] == "Corrected."


def test_posts_that_were_never_there_are_passed_over(follow: Follow, harbour: Channel) -> None:
    harbour.posts(3)
    harbour.skip(1000)
    harbour.posts(3)
    assert numbers(follow()) == [1, 2, 3, 1004, 1005, 1006]


def test_a_name_that_passed_to_another_channel_is_read_from_its_beginning(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator
) -> None:
    harbour.posts(300)
    source = follow()
    harbour.gone = True
    telegram.world.channel("New harbour", "harbour").post("A new beginning.")
    sync_again(source)
    assert texts(source) == ["A new beginning."]


def test_the_name_is_looked_up_once(follow: Follow, harbour: Channel, telegram: TelegramEmulator) -> None:
    harbour.posts(3)
    sync_again(follow())
    assert len(telegram.called("ResolveUsername")) == 1


def test_the_account_shows_as_the_settings_say(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, settings: Settings
) -> None:
    settings.TELEGRAM_DEVICE_MODEL, settings.TELEGRAM_APP_VERSION = "Archive", "7.2"
    settings.TELEGRAM_SYSTEM_VERSION, settings.TELEGRAM_LANG_CODE = "BSD", "de"
    harbour.posts(1)
    follow()
    (device,) = telegram.devices
    shown = device.device_model, device.system_version, device.app_version, device.lang_code, device.system_lang_code
    assert shown == ("Archive", "BSD", "7.2", "de", "en")


def test_a_deleted_source_leaves_nothing_known_of_its_channel(follow: Follow, harbour: Channel) -> None:
    harbour.posts(1)
    source = follow()
    assert Followed.objects.filter(source=source).exists()
    source.delete()
    assert not Followed.objects.exists()


def test_ten_thousand_posts_are_synced_in_pages_of_a_hundred(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator
) -> None:
    for _ in range(10_000):
        harbour.post("The ferry to the outer islands leaves from the eastern quay at nine, and comes back at six. " * 3)
    begun = time.monotonic()
    source = follow()
    while source.state == SourceState.QUEUED:
        sync_again(source)
    seconds = time.monotonic() - begun
    print(f"10,000 posts of {len(harbour.messages[1].message)} characters: {10_000 / seconds:.0f} posts/s until stored")
    assert numbers(source) == list(range(1, 10_001))
    assert len(telegram.called("GetHistory")) <= 103


def test_an_album_across_two_documents_keeps_each_text_at_its_own_number(follow: Follow, harbour: Channel) -> None:
    harbour.posts(98)
    for caption in ("Crane", "", "Quay", "Mole"):
        harbour.photo(caption, album=7)
    assert [(post["number"], post["text"]) for post in stored_posts(follow())[98:]] == [
        (99, "Crane"),
        (101, "Quay\n\nMole"),
    ]


def test_an_answer_to_a_post_says_to_which(follow: Follow, harbour: Channel) -> None:
    harbour.post("Where?")
    harbour.post("At gate 7.", reply_to=types.MessageReplyHeader(reply_to_msg_id=1))
    harbour.post("Elsewhere.", reply_to=types.MessageReplyHeader(1, reply_to_peer_id=types.PeerChannel(5)))
    assert [post["reply_to"] for post in stored_posts(follow())] == [0, 1, 0]


def test_formatting_arrives_as_markdown(follow: Follow, harbour: Channel) -> None:
    text = "🚢 see the plan"
    harbour.post(text, entities=[types.MessageEntityTextUrl(7, 8, "https://a.example"), types.MessageEntityBold(0, 2)])
    assert texts(follow()) == ["🚢 see [the plan](https://a.example)"]


def test_a_document_deleted_by_its_owner_stays_out(follow: Follow, harbour: Channel) -> None:
    harbour.posts(3)
    source = follow()
    documents.delete_document(document=Document.objects.get(bot=source.bot))
    harbour.edit(2, "Corrected.")
    sync_again(source)
    assert source.counts["skipped"] == 1
