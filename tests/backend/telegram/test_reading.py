"""How posts are written down, and what Telegram Desktop's export is read as."""

import json
import time
from typing import Any

import pytest

from backend.documents.parser import telegram_export, telegram_posts, telegram_preview
from backend.documents.parser.reading import ParsedPage, Refused, Unreadable
from backend.documents.parser.telegram_markup import BLOCK, CODE, LINK, Span, linked, marked_up
from backend.documents.parser.telegram_posts import Post

CHANNEL = "https://t.me/harbour"


def export(*messages: dict[str, Any], **chat: Any) -> bytes:
    head = {"name": "Harbour news", "type": "public_channel", "id": 1900000001}
    return json.dumps({**head, **chat, "messages": messages}).encode()


def message(number: int, text: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": number, "type": "message", "date": "2024-03-01T10:00:00", "date_unixtime": "1709283600",
        "from": "Harbour news", "from_id": "channel1900000001", "text": text, **fields,
    }  # fmt: skip


def pages(data: bytes, link: str = CHANNEL) -> list[ParsedPage]:
    reading = telegram_export.read(data, link)
    found = [page for page in reading.pages if isinstance(page, ParsedPage)]
    assert reading.total == len(found)
    return found


def test_utf16_offsets_fall_on_the_right_characters() -> None:
    text = "⚓️🚢🚢 see the plan 🗺️ and run ls"
    start = len("⚓️🚢🚢 see ".encode("utf-16-le")) // 2
    spans = [
        Span(start, len("the plan"), LINK, "https://example.com/plan"),
        Span(len(text.encode("utf-16-le")) // 2 - 2, 2, CODE),
    ]
    assert marked_up(text, spans) == "⚓️🚢🚢 see [the plan](https://example.com/plan) 🗺️ and run `ls`"


@pytest.mark.parametrize(
    "span", [Span(-1, 3, CODE), Span(3, 100, CODE), Span(2, 0, CODE), Span(2, -1, CODE)],
    ids=["before", "beyond", "empty", "negative"],
)  # fmt: skip
def test_a_span_outside_the_text_is_left_out(span: Span) -> None:
    assert marked_up("gate 7", [span]) == "gate 7"


def test_of_overlapping_spans_the_first_holds() -> None:
    assert marked_up("one two", [Span(0, 7, LINK, "https://a.example"), Span(4, 3, CODE)]) == (
        "[one two](https://a.example)"
    )


def test_half_an_emoji_is_no_broken_text() -> None:
    assert marked_up("🚢", [Span(0, 1, CODE)]).encode()


@pytest.mark.parametrize(
    ("text", "url", "written"),
    [
        ("plan", "https://a.example/x", "[plan](https://a.example/x)"),
        ("plan", "javascript:alert(1)", "plan"),
        ("plan", "tg://user?id=7", "plan"),
        ("plan", "https://a.example/(x) y", "[plan](https://a.example/%28x%29%20y)"),
        ("a](https://evil.example) [b", "https://a.example", "[a)(https://evil.example) (b](https://a.example)"),
        ("https://a.example/x", "https://a.example/x", "https://a.example/x"),
        ("two\nlines", "https://a.example", "two\nlines"),
        ("plan", "https://" + "a" * 3000, "plan"),
    ],
    ids=["plain", "script", "telegram", "brackets", "hidden", "itself", "lines", "long"],
)
def test_a_link_leads_where_it_says_and_nowhere_harmful(text: str, url: str, written: str) -> None:
    assert linked(text, url) == written


def test_code_is_marked_unless_it_would_end_early() -> None:
    assert marked_up("ls -l", [Span(0, 5, BLOCK)]) == "```\nls -l\n```"
    assert marked_up("a `b` c", [Span(0, 7, CODE)]) == "a `b` c"


def test_blocks_are_read_as_they_were_written() -> None:
    posts = [
        Post(7, "Höhe 3 m\u2028über null 🚢", f"{CHANNEL}/7", "Ida", "2024-03-01T09:00:00+00:00", 3),
        Post(9, "x\ny"),
    ]
    read = list(telegram_posts.read(telegram_posts.written(posts)).pages)
    assert read == [
        ParsedPage(
            "Post 7, reply to 3", "Höhe 3 m\u2028über null 🚢", f"{CHANNEL}/7", "Ida", "2024-03-01T09:00:00+00:00"
        ),
        ParsedPage("Post 9", "x\ny"),
    ]


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"number": 1}', b'{"text": "x"}', b"\xff\xfe", b'{"number":1,"text":"a","x":1}']
)
def test_a_block_that_is_none_of_ours_is_damaged(data: bytes) -> None:
    with pytest.raises(Unreadable, match="corrupt_file"):
        telegram_posts.read(data)


def test_each_post_of_an_export_has_its_link_author_and_date() -> None:
    (page,) = pages(export(message(12, "The gates open.", author="Ida", reply_to_message_id=3)))
    assert page == ParsedPage(
        "Post 12, reply to 3", "The gates open.", f"{CHANNEL}/12", "Ida", "2024-03-01T09:00:00+00:00"
    )


@pytest.mark.parametrize(
    ("link", "chat", "root"),
    [
        ("https://t.me/s/harbour/", {}, CHANNEL),
        ("", {}, "https://t.me/c/1900000001"),
        ("https://example.com", {}, "https://t.me/c/1900000001"),
        ("", {"type": "private_supergroup"}, "https://t.me/c/1900000001"),
        ("", {"type": "personal_chat"}, ""),
        ("", {"id": "7"}, ""),
    ],
    ids=["named", "numbered", "elsewhere", "group", "conversation", "no number"],
)
def test_a_post_is_linked_below_the_channel(link: str, chat: dict[str, Any], root: str) -> None:
    (page,) = pages(export(message(5, "x"), **chat), link)
    assert page.link == (f"{root}/5" if root else "")


def test_formatted_text_is_put_together() -> None:
    parts = [
        "See ",
        {"type": "text_link", "text": "the plan", "href": "https://a.example"},
        {"type": "bold", "text": "!"},
    ]
    assert [page.text for page in pages(export(message(1, parts)))] == ["See [the plan](https://a.example)!"]


def test_what_has_no_text_is_refused_with_a_count() -> None:
    service = {"id": 1, "type": "service", "action": "create_channel", "text": ""}
    photo = message(2, "", photo="photos/../../x.jpg")
    reading = telegram_export.read(export(service, photo, photo, message(4, "x")), CHANNEL)
    assert [page for page in reading.pages if isinstance(page, Refused)] == [
        Refused("1 message", "They only say what happened in the chat."),
        Refused("2 messages", "They have no text, only media."),
    ]


def test_a_forward_says_where_it_is_from() -> None:
    (page,) = pages(export(message(1, "x", forwarded_from="Tide tables")))
    assert page.author == "Harbour news, forwarded from Tide tables"


@pytest.mark.parametrize(
    ("fields", "dated"),
    [
        ({"date_unixtime": "9" * 12}, "2024-03-01T10:00:00+00:00"),
        ({"date_unixtime": None, "date": "soon"}, ""),
        ({"date_unixtime": None}, "2024-03-01T10:00:00+00:00"),
        ({"date_unixtime": "١٢"}, "2024-03-01T10:00:00+00:00"),
    ],
    ids=["too far", "no date", "old export", "other digits"],
)
def test_an_odd_date_is_no_date_or_the_other_one(fields: dict[str, Any], dated: str) -> None:
    (page,) = pages(export(message(1, "x", **fields)))
    assert page.dated == dated


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"[]", b"{}", b'{"messages": {}}', b'{"messages": 7}', b"\x00", b'"messages"'],
)
def test_what_is_no_export_is_damaged(data: bytes) -> None:
    with pytest.raises(Unreadable, match="corrupt_file"):
        telegram_export.read(data, "")


@pytest.mark.parametrize(
    "odd",
    [
        7, None, [], {"type": "message"},
        {"type": "message", "text": [{"text": 7}, 3, {"type": [], "text": "y", "href": {}}]},
        {"type": "message", "text": "y", "id": 10**30, "author": {}, "forwarded_from": 3, "reply_to_message_id": "x"},
    ],
    ids=["number", "null", "list", "bare", "pieces", "fields"],
)  # fmt: skip
def test_odd_messages_do_not_keep_the_others_from_being_read(odd: Any) -> None:
    assert pages(export(odd, message(2, "fine")))[-1].text == "fine"


def test_ten_thousand_posts_are_read_in_a_moment() -> None:
    begun = time.monotonic()
    assert len(pages(export(*(message(number, "x" * 200) for number in range(1, 10_001))))) == 10_000
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "data", [b"", b"<", b"<html></html>", b"\x00\x01", b"<div class='tgme_page'>", b"<!--" * 1000],
    ids=["empty", "open", "other page", "binary", "card", "comments"],
)  # fmt: skip
def test_a_page_that_is_no_preview_is_told_apart(data: bytes) -> None:
    with pytest.raises(Unreadable, match="telegram_no_preview"):
        telegram_preview.read(data, CHANNEL)


def preview(inner: str, post: str = "harbour/7") -> list[ParsedPage | Refused]:
    message = f'<div class="tgme_widget_message" data-post="{post}">{inner}</div>'
    page = f'<section class="tgme_channel_history">{message}</section>'
    return list(telegram_preview.read(page.encode(), CHANNEL).pages)


def test_the_text_of_a_preview_keeps_its_links_and_lines() -> None:
    text = (
        'Ferry <b>7</b><br/>see <a href="https://a.example/p" onclick="x()">the plan</a> '
        '<i class="emoji"><b>🚢</b></i><script>alert(1)</script> <code>ls</code>'
    )
    (page,) = preview(f'<div class="tgme_widget_message_text js-message_text">{text}</div>')
    assert page == ParsedPage("7", "Ferry 7\nsee [the plan](https://a.example/p) 🚢 `ls`", f"{CHANNEL}/7")


@pytest.mark.parametrize("post", ["other/7", "harbour/x", "harbour/7/8", "", "../harbour/7"])
def test_what_is_not_a_post_of_the_channel_is_left_out(post: str) -> None:
    assert preview('<div class="js-message_text">x</div>', post) == []


def test_a_text_within_a_text_is_not_told_twice() -> None:
    (page,) = preview('<div class="js-message_text">a <div class="js-message_text">b</div></div>')
    assert isinstance(page, ParsedPage)
    assert page.text == "a b"


def test_a_deeply_nested_preview_does_no_harm() -> None:
    (page,) = preview(f'<div class="js-message_text">{"<b>" * 5000}x</div>')
    assert isinstance(page, ParsedPage | Refused)
