from ipaddress import ip_address

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from backend.core.client_address import client_address

PEER = "198.51.100.1"
addresses = st.ip_addresses(v=4).map(str)


def seen(forwarded: str | None, peer: str = PEER) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


@pytest.mark.parametrize("forwarded", [None, "", "203.0.113.9", "203.0.113.9, 10.0.0.1"])
def test_without_proxies_no_header_counts(forwarded: str | None, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 0
    assert seen(forwarded) == PEER


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", PEER),
        (1, None, PEER),
        (1, "6.6.6.6,", PEER),
        (1, "6.6.6.6, unknown", PEER),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
    ],
)
def test_behind_proxies_their_entries_count(hops: int, forwarded: str, expected: str, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = hops
    assert seen(forwarded) == expected


@pytest.mark.parametrize("peer", ["", "unix:", "/run/web.sock"])
def test_a_peer_without_address_has_a_name(peer: str) -> None:
    assert seen(None, peer) == "unknown"


@given(
    st.lists(addresses, max_size=5), addresses, st.text(alphabet=st.characters(codec="latin-1", categories=["L", "P"]))
)
def test_what_the_caller_prepends_never_counts(invented: list[str], real: str, noise: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.TRUSTED_PROXIES", 1)
        assert seen(", ".join([noise, *invented, real])) == str(ip_address(real))
