import time

import pytest

from backend.telegram.addresses import Address, parse


@pytest.mark.parametrize(
    "text",
    [
        "@harbour_1", "harbour_1", " @harbour_1 ", "t.me/harbour_1", "https://t.me/harbour_1", "http://t.me/harbour_1/",
        "https://t.me/s/harbour_1", "https://telegram.me/harbour_1", "https://www.t.me/harbour_1",
        "https://t.me/harbour_1/123", "https://t.me/s/harbour_1?before=20", "https://t.me/harbour_1/123?single",
        "tg://resolve?domain=harbour_1", "telegram.dog/harbour_1",
    ],
)  # fmt: skip
def test_a_channel_is_known_by_any_of_its_addresses(text: str) -> None:
    assert parse(text) == Address(username="harbour_1")


@pytest.mark.parametrize(
    "text",
    ["https://t.me/+AbC-d_fGh", "t.me/joinchat/AbC-d_fGh", "https://t.me/+AbC-d_fGh/", "tg://join?invite=AbC-d_fGh"],
)
def test_so_is_an_invitation(text: str) -> None:
    assert parse(text) == Address(invite="AbC-d_fGh")


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "@abc", "@1harbour", "@" + "a" * 33, "@harbour news", "https://example.com/harbour",
        "https://t.me.example.com/harbour", "https://t.me/c/1900000001/7", "https://t.me/share/url?url=x",
        "https://t.me/addstickers/Boats", "https://t.me/", "https://user@t.me/harbour", "@hárbour", "@harbour\n@other",
        "https://t.me/+short", "file:///etc/passwd", "@harbour/../other",
    ],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert parse(text) is None


def test_a_hostile_text_is_refused_at_once() -> None:
    begun = time.monotonic()
    for text in ("@" + "a_" * 50_000, "https://t.me/" + "s/" * 50_000, "t.me/a?" + "?" * 100_000):
        parse(text)
    assert time.monotonic() - begun < 0.1


def test_an_invitation_has_no_public_link() -> None:
    assert parse("https://t.me/+AbC-d_fGh").link == ""  # type: ignore[union-attr]
