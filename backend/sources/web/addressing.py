"""What makes two addresses one page, and two pages one site."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from backend import fetching
from backend.fetching import FetchFailed

# Parameters that tell where a reader came from, and change nothing of the page.
_TRACKING = {
    "dclid", "fbclid", "gclid", "gbraid", "igshid", "mc_cid", "mc_eid", "mkt_tok", "msclkid", "twclid", "wbraid",
    "yclid", "_ga", "_gl", "_hsenc", "_hsmi",
}  # fmt: skip
_TRACKING_PREFIX = "utm_"


def canonical(url: str) -> str:
    """Without fragment and tracking, in one spelling of scheme, host and port. Raises FetchFailed."""
    url = fetching.check_url(url)
    page, mark, query = url.partition("?")
    kept = "&".join(field for field in query.split("&") if field and not _tracks(field))
    return f"{page}?{kept}" if mark and kept else page


def canonical_or_none(url: str) -> str | None:
    """None where it is no address that could be asked."""
    try:
        return canonical(url)
    except FetchFailed:
        return None


def _tracks(field: str) -> bool:
    name = field.partition("=")[0].lower()
    return name in _TRACKING or name.startswith(_TRACKING_PREFIX)


def site_of(url: str) -> str:
    """Host and port, with and without "www." the same, whatever the scheme."""
    parts = urlsplit(url)
    port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    return (parts.hostname or "").removeprefix("www.") + port


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of one site that is read. Paths begin with one of `include`, where there are any, and with none of
    `exclude`."""

    site: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __contains__(self, url: object) -> bool:
        if not isinstance(url, str) or site_of(url) != self.site:
            return False
        path = urlsplit(url).path
        wanted = not self.include or any(path.startswith(prefix) for prefix in self.include)
        return wanted and not any(path.startswith(prefix) for prefix in self.exclude)
