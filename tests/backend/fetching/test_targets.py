from ipaddress import ip_address

import pytest
from pytest_django import Settings

from backend.fetching import FetchFailed, check_url
from backend.fetching.addresses import is_public


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://Example.COM", "http://example.com/"),
        ("https://example.com:443/a?b=c#d", "https://example.com/a?b=c"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        ("http://example.com./a", "http://example.com/a"),
        ("https://bücher.example/ä ö".replace(" ", "%20"), "https://xn--bcher-kva.example/%C3%A4%20%C3%B6"),
        ("http://my_host.example.com/", "http://my_host.example.com/"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://[2606:4700:4700::1111]/", "http://[2606:4700:4700::1111]/"),
    ],
)
def test_one_spelling_of_each_address(url: str, asked: str) -> None:
    assert check_url(url) == asked
    assert check_url(asked) == asked


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/passwd", "scheme_refused"),
        ("gopher://example.com/", "scheme_refused"),
        ("ftp://example.com/", "scheme_refused"),
        ("data:text/html,hello", "scheme_refused"),
        ("dict://example.com:2628/", "scheme_refused"),
        ("unix:///run/docker.sock", "scheme_refused"),
        ("javascript:alert(1)", "scheme_refused"),
        ("//example.com/", "url_invalid"),
        ("example.com", "url_invalid"),
        ("", "url_invalid"),
        ("http://", "url_invalid"),
        ("http:example.com", "url_invalid"),
        ("http://user@example.com/", "url_invalid"),
        ("http://user:word@example.com/", "url_invalid"),
        ("http://example.com\\@127.0.0.1/", "url_invalid"),
        ("http://example.com\t/", "url_invalid"),
        ("http://exa mple.com/", "url_invalid"),
        ("http://example.com\x00/", "url_invalid"),
        ("http://%31%32%37.0.0.1/", "url_invalid"),
        ("http://[::1]x/", "url_invalid"),
        ("http://[::1]@example.com/", "url_invalid"),
        ("http://example.com:80:80/", "url_invalid"),
        ("http://example.com:８０/", "url_invalid"),
        ("http://-a.example/", "url_invalid"),
        ("http://a..example/", "url_invalid"),
        (f"http://example.com/{'a' * 2000}", "url_invalid"),
        ("http://example.com:22/", "port_refused"),
        ("http://example.com:25/", "port_refused"),
        ("http://example.com:5432/", "port_refused"),
        ("http://example.com:6379/", "port_refused"),
        ("http://example.com:99999/", "port_refused"),
    ],
)
def test_what_is_not_asked_says_why(url: str, code: str) -> None:
    with pytest.raises(FetchFailed) as failed:
        check_url(url)
    assert failed.value.code == code
    assert "example.com" not in failed.value.message


def test_the_ports_are_a_setting(settings: Settings) -> None:
    settings.FETCH_PORTS = [9000]
    assert check_url("http://example.com:9000/") == "http://example.com:9000/"
    with pytest.raises(FetchFailed):
        check_url("http://example.com/")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "193.0.6.139", "2606:4700::1111", "64:ff9b::808:808"])
def test_a_public_address_is_dialled(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",  # noqa: S104
        "172.16.0.1",
        "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1", "fe80::1", "fe80::1%lo",
        "fc00::1", "fd00::1", "fec0::1", "ff02::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1",
        "2002:7f00:1::", "2002:808:808::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808",
        "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:7f00:1", "3fff::1", "4000::1",
    ],
)  # fmt: skip
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(ip_address(address))
