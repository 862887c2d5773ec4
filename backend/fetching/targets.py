"""What a URL asks for, read strictly: whatever two programs could read differently is refused."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin, urlsplit

import idna
from django.conf import settings

from backend.fetching.errors import FetchFailed

URL_CHARS = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]+)(:(?P<port>[0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
# Everything a URL may hold, so that what is quoted already is left as it is.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE = _PATH_SAFE + "?"
_NAME_CHARS = 253


@dataclass(frozen=True, slots=True)
class Target:
    """`host` is a lower-case ASCII name, or an address, IPv6 without brackets; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}"


def parse(url: str) -> Target:
    """Without its fragment. Raises FetchFailed."""
    url = url.strip(" \t\r\n\f")
    if len(url) > URL_CHARS or _UNFIT.search(url):
        raise FetchFailed("url_invalid")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise FetchFailed("url_invalid") from exc
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise FetchFailed("scheme_refused" if scheme else "url_invalid")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise FetchFailed("url_invalid")
    host = _host(authority["host"])
    port = int(authority["port"] or _DEFAULT_PORTS[scheme])
    if port not in settings.FETCH_PORTS:
        raise FetchFailed("port_refused")
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    if parts.query:
        path += "?" + quote(parts.query, safe=_QUERY_SAFE)
    return Target(scheme, host, port, path)


def follow(target: Target, location: str) -> Target:
    """Where a redirect leads. Raises FetchFailed."""
    if len(location) > URL_CHARS or _UNFIT.search(location):
        raise FetchFailed("url_invalid")
    try:
        return parse(urljoin(target.url, location))
    except ValueError as exc:
        raise FetchFailed("url_invalid") from exc


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    name = _ascii(text).removesuffix(".")
    labels = name.split(".")
    if len(name) > _NAME_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchFailed("url_invalid")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name)
    return name


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError as exc:
        raise FetchFailed("url_invalid") from exc
    if address.scope_id is not None:
        raise FetchFailed("address_refused")
    return str(address)


def _ipv4(name: str) -> str:
    """A host that ends in a number is an address, and there is one way to write it: 0x7f.1, 017700000001 and 2130706433
    are all the loopback to a resolver that is asked to be kind."""
    try:
        return str(IPv4Address(name))
    except AddressValueError as exc:
        raise FetchFailed("address_refused") from exc


def _ascii(name: str) -> str:
    if name.isascii():
        return name.lower()
    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as exc:
        raise FetchFailed("url_invalid") from exc
