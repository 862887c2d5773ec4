import pytest
from pytest_django import Settings

from backend.sources.web.addressing import Scope, canonical, canonical_or_none, site_of


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("HTTP://Example.com:80/a#b", "http://example.com/a"),
        ("https://example.com/?utm_source=a&b=c&fbclid=d", "https://example.com/?b=c"),
        ("https://example.com/?utm_source=a", "https://example.com/"),
        ("https://example.com/?", "https://example.com/"),
        ("https://example.com/?a=utm_source", "https://example.com/?a=utm_source"),
        ("https://example.com/a b".replace(" ", "%20"), "https://example.com/a%20b"),
    ],
)
def test_one_page_has_one_address(url: str, page: str) -> None:
    assert canonical(url) == page
    assert canonical(page) == page


def test_what_is_no_address_is_no_page(settings: Settings) -> None:
    assert canonical_or_none("mailto:me@example.com") is None
    assert canonical_or_none("http://10.0.0.1:22/") is None


def test_a_site_is_a_host_and_a_port() -> None:
    assert site_of("https://www.example.com/a") == site_of("http://example.com:80/b") == "example.com"
    assert site_of("http://example.com:8080/") == "example.com:8080"


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://example.com/docs/a", True),
        ("https://www.example.com/docs/a?b=c", True),
        ("https://example.com/docs", False),
        ("https://example.com/docs/old/a", False),
        ("https://example.com/blog/", False),
        ("https://example.com.evil.example/docs/a", False),
        ("https://evil.example/docs/a", False),
        ("https://sub.example.com/docs/a", False),
    ],
)
def test_a_scope_is_part_of_one_site(url: str, inside: bool) -> None:
    assert (url in Scope("example.com", include=["/docs/"], exclude=["/docs/old/"])) is inside
