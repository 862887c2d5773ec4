import pytest

from backend.sharing.markup import escaped, link, quoted, without_embeds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a *b* _c_ `d`", r"a \*b\* \_c\_ \`d\`"),
        ("[1]: http://evil", r"\[1\]: http://evil"),
        ("two\nlines", "two lines"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("1. no list", r"1\. no list"),
        ("12) no list", r"12\) no list"),
        ("- no list", r"\- no list"),
        ("=====", r"\====="),
        ("Less than 3.5 m (at sea) - and well-known!", "Less than 3.5 m (at sea) - and well-known!"),
    ],
)
def test_escaped_text_is_no_markup(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_quotation_stays_one() -> None:
    assert quoted("one\n\n```\n<b>") == "> one\n>\n> \\`\\`\\`\n> \\<b\\>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![x](http://evil/?secret)", r"!\[x](http://evil/?secret)"),
        ("![x][1]", r"!\[x][1]"),
        ("<img src=http://evil>", r"\<img src=http://evil>"),
        ("<!-- x -->", r"\<!-- x -->"),
        ("if a < b and **bold**", "if a < b and **bold**"),
        ("```html\n<b>![x]()\n```\n<b>", "```html\n<b>![x]()\n```\n\\<b>"),
        ("~~~\n```\n<b>\n~~~\n<b>", "~~~\n```\n<b>\n~~~\n\\<b>"),
        ("````\n```\n<b>", "````\n```\n<b>"),
        ("``` a`b\n<b>", "``` a`b\n\\<b>"),
        ("- a\n  ```\n<img>", "- a\n  ```\n\\<img>"),
        ("```\n    ```\n<b>\n```\n<b>", "```\n    ```\n<b>\n```\n\\<b>"),
    ],
    ids=lambda text: text[:12],
)
def test_what_would_be_fetched_or_run_is_taken_out_but_code_stays(text: str, shown: str) -> None:
    assert without_embeds(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://t.me/name/123", "<https://t.me/name/123>"),
        ("HTTP://example.com/a b>c", "<HTTP://example.com/a%20b%3Ec>"),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_a_link_is_an_address_of_a_page_or_nothing(url: str, shown: str) -> None:
    assert link(url) == shown
