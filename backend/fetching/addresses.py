"""Which addresses may be dialled: public unicast ones, and what the operator has allowed."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

from backend.fetching.errors import FetchFailed

Address = IPv4Address | IPv6Address

# The special-purpose registries of IANA, and multicast. The standard library's `is_global` differs between patch
# releases of Python, so the tables are ours.
_IPV4_REFUSED = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_IPV6_GLOBAL = IPv6Network("2000::/3")
# Teredo and 6to4 (2001::/32, 2002::/16) carry an IPv4 address inside, and nobody publishes a site there any more.
_IPV6_REFUSED = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_NAT64 = IPv6Network("64:ff9b::/96")  # how a network without IPv4 names an IPv4 address
_ISATAP = (0x00005EFE, 0x02005EFE)
_INTERFACE_HALF = 32


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _IPV4_REFUSED)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address not in _IPV6_GLOBAL or any(address in network for network in _IPV6_REFUSED):
        return False
    return (int(address) >> _INTERFACE_HALF) & 0xFFFFFFFF not in _ISATAP


def check(texts: Sequence[str]) -> list[str]:
    """The same addresses, each fit to be dialled. One that is not refuses them all: a name that leads both to a public
    and to a private place is no mistake. Raises FetchFailed."""
    allowed = [ip_network(network) for network in settings.FETCH_ALLOWED_NETWORKS]
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError as exc:
            raise FetchFailed("address_refused") from exc
        if not is_public(address) and not any(address in network for network in allowed):
            raise FetchFailed("address_refused")
    if not texts:
        raise FetchFailed("dns_failed")
    return list(texts)
