"""The one way out to the internet: what a user names is fetched here and nowhere else.

No cookies, no proxy of the environment, no credentials, no address but the one that was checked.
"""

import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address

import certifi
import httpcore
from django.conf import settings
from django.utils import timezone

from backend.fetching import addresses, targets
from backend.fetching.dialling import Clock, Dialler, Patience, Resolver, resolve
from backend.fetching.errors import FetchFailed, of_status
from backend.fetching.targets import Target

ROBOT = "ChatSphereBot"
_REDIRECTS = {301, 302, 303, 307, 308}
_FINE = {HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION, HTTPStatus.NOT_MODIFIED}
_GZIP = zlib.MAX_WBITS | 32  # with the header of gzip or of zlib
_INFLATE_BYTES = 256 * 1024
_RETRY_AFTER_MAX = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Answer:
    """`url` is where it came from after all redirects; `headers` have lower-case names; `content` is decoded."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes = b""
    moved: bool = field(default=False)  # permanently: each redirect on the way said so

    @property
    def media_type(self) -> str:
        return self._content_type().get_content_type() if "content-type" in self.headers else ""

    @property
    def charset(self) -> str:
        """As the server names it; it may be wrong, and no encoding at all."""
        return str(self._content_type().get_param("charset", "") or "")[:40]

    @property
    def filename(self) -> str:
        """As the server names it in Content-Disposition; it may be anything."""
        message = Message()
        message["content-disposition"] = self.headers.get("content-disposition", "")
        return message.get_filename() or ""

    def _content_type(self) -> Message:
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        return message


def user_agent() -> str:
    return f"Mozilla/5.0 (compatible; {ROBOT}/1.0; +{settings.SITE_URL})"


def check_url(url: str) -> str:
    """The URL as it would be asked. Nobody is asked yet, not even the resolver: of a name it is not known yet where it
    leads, of an address it is. Raises FetchFailed."""
    target = targets.parse(url)
    with suppress(ValueError):
        addresses.check([str(ip_address(target.host))])
    return target.url


def get(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    limit: int | None = None,
    allow: Callable[[str], bool] | None = None,
    resolver: Resolver = resolve,
) -> Answer:
    """An answer of status 200, 203 or 304, of at most `limit` bytes (FETCH_LIMIT_BYTES) after unpacking. Redirects are
    followed, each to an address that is checked like the first, and to a URL that `allow` does not refuse. Raises
    FetchFailed, with code "redirect_refused" where `allow` said no."""
    limit = settings.FETCH_LIMIT_BYTES if limit is None else limit
    clock = Clock(_patience())
    target = targets.parse(url)
    moved: list[bool] = []
    for _ in range(settings.FETCH_REDIRECTS + 1):
        with _exchange("GET", target, clock, resolver, headers=headers) as response:
            if response.status not in _REDIRECTS:
                return _answer(target, response, limit, moved=bool(moved) and all(moved))
            location = _location(response)
        if not location:
            raise FetchFailed("protocol_error")
        moved.append(response.status in (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.PERMANENT_REDIRECT))
        target = targets.follow(target, location)
        if allow is not None and not allow(target.url):
            raise FetchFailed("redirect_refused")
    raise FetchFailed("too_many_redirects")


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float | None = None,
    resolver: Resolver = resolve,
) -> Answer:
    """Status and headers of whatever the server answers, within `seconds` for everything; a redirect is not followed,
    and the answer's body not read. Raises FetchFailed where there is no answer."""
    patience = _patience()
    total = patience.total if seconds is None else min(seconds, patience.total)
    clock = Clock(Patience(patience.connect, total, patience.idle, total))
    target = targets.parse(url)
    with _exchange("POST", target, clock, resolver, headers=headers, body=body) as response:
        return Answer(target.url, response.status, _headers(response))


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    limit: int,
    seconds: float,
    resolver: Resolver = resolve,
) -> Answer:
    """Whatever the server answers, of any status, with at most `limit` bytes of it. A redirect is not followed: the
    headers may hold what is meant for this server alone. Raises FetchFailed."""
    patience = _patience()
    total = min(seconds, patience.total)
    clock = Clock(Patience(patience.connect, total, patience.idle, total))
    target = targets.parse(url)
    with _exchange(method, target, clock, resolver, headers=headers, body=body) as response:
        told = _headers(response)
        if response.status in _REDIRECTS:
            raise FetchFailed("redirect_refused")
        if _declared(told) > limit:
            raise FetchFailed("too_large")
        return Answer(target.url, response.status, told, _content(response, told, limit))


def _patience() -> Patience:
    return Patience(
        connect=settings.FETCH_CONNECT_SECONDS,
        first_byte=settings.FETCH_FIRST_BYTE_SECONDS,
        idle=settings.FETCH_IDLE_SECONDS,
        total=settings.FETCH_TOTAL_SECONDS,
    )


@contextmanager
def _exchange(
    method: str,
    target: Target,
    clock: Clock,
    resolver: Resolver,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Iterator[httpcore.Response]:
    """One request over a connection of its own, which nobody else will use."""
    given = dict(headers or {})
    if body is not None:
        given["Content-Length"] = str(len(body))
    usual = {
        "Host": target.authority,
        "User-Agent": user_agent(),
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Connection": "close",
    }
    named = {name.lower() for name in given}
    sent = {**{name: value for name, value in usual.items() if name.lower() not in named}, **given}
    url = httpcore.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=Dialler(clock, resolver)) as pool,
            pool.stream(method, url, headers=list(sent.items()), content=body) as response,
        ):
            yield response
    except (httpcore.ProtocolError, httpcore.NetworkError) as exc:
        raise FetchFailed("protocol_error") from exc
    except httpcore.UnsupportedProtocol as exc:
        raise FetchFailed("scheme_refused") from exc


@cache
def _tls() -> ssl.SSLContext:
    """What the system trusts, which is how a private network's own authority comes in, and what browsers trust."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _answer(target: Target, response: httpcore.Response, limit: int, *, moved: bool) -> Answer:
    headers = _headers(response)
    if response.status not in _FINE:
        raise of_status(response.status, retry_after=_seconds(headers.get("retry-after", "")))
    if _declared(headers) > limit:
        raise FetchFailed("too_large")
    content = b"" if response.status == HTTPStatus.NOT_MODIFIED else _content(response, headers, limit)
    return Answer(target.url, response.status, headers, content, moved)


def _declared(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _content(response: httpcore.Response, headers: Mapping[str, str], limit: int) -> bytes:
    content = bytearray()
    for block in _decoded(response, headers.get("content-encoding", "")):
        content += block
        if len(content) > limit:
            raise FetchFailed("too_large")
    return bytes(content)


def _decoded(response: httpcore.Response, encoding: str) -> Iterator[bytes]:
    """In pieces whose size does not depend on how well the answer was packed."""
    blocks = response.iter_stream()
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from blocks
    elif encoding in ("gzip", "x-gzip", "deflate"):
        yield from _inflated(blocks)
    else:
        raise FetchFailed("encoding_refused")


def _inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    unpacking = None
    try:
        for block in blocks:
            packed = block
            while packed:
                if unpacking is None or unpacking.eof:  # a packed file may consist of several
                    unpacking = zlib.decompressobj(_GZIP)
                yield unpacking.decompress(packed, _INFLATE_BYTES)
                packed = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail
    except zlib.error as exc:
        raise FetchFailed("encoding_refused") from exc
    if unpacking is not None and not unpacking.eof:
        raise FetchFailed("protocol_error")


def _location(response: httpcore.Response) -> str:
    """Servers send there what they should have quoted: UTF-8, and blanks."""
    raw = next((value for key, value in response.headers if key.lower() == b"location"), b"")
    return raw.decode("utf-8", "replace").strip().replace(" ", "%20")


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in response.headers}


def _seconds(retry_after: str) -> int | None:
    """Of a Retry-After header: a number, or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(int(retry_after[:9]), _RETRY_AFTER_MAX)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if when.tzinfo is None:
        return None
    return int(min(max((when - timezone.now()).total_seconds(), 0), _RETRY_AFTER_MAX))
