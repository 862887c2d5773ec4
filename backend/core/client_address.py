"""Who is calling, for limits counted by address."""

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The address that limits count: of an IPv6 client its /64, which is what one household has.

    X-Forwarded-For is read only behind TRUSTED_PROXIES, and only as many entries from its right end as there are such
    proxies: everything further left is the caller's own invention.
    """
    peer = str(request.META.get("REMOTE_ADDR") or "")
    hops = settings.TRUSTED_PROXIES
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    given = forwarded[-hops] if 0 < hops <= len(forwarded) else peer
    return _counted(given) or _counted(peer) or "unknown"


def _counted(text: str) -> str:
    """Empty for what is not an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), 64), strict=False))
