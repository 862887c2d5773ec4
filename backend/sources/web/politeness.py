"""How often a web server is asked, and what it does not want asked at all."""

import threading
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from protego import Protego

from backend import fetching
from backend.fetching import FetchFailed
from backend.sources.connectors import Run, SyncPostponed
from backend.sources.models import Host
from backend.sources.web.addressing import origin_of, site_of

ROBOTS_BYTES = 500 * 1024  # as much as its standard (RFC 9309) wants read
DELAY_MAX_SECONDS = 30.0
ROBOTS_SECONDS = 3600.0
"""So long a robots.txt is believed; its standard allows a day."""
_ROBOTS_KEPT = 100
_PATIENCE_SECONDS = 2.0  # longer pauses are spent elsewhere

_kept: dict[str, tuple[float, Protego]] = {}  # by origin, with when it was read; of this process
_keeping = threading.Lock()

# Whoever comes takes the next free moment; one that is too far away is left to others. No row: come back later.
_TAKE = """
    INSERT INTO {table} AS host (name, free_at) VALUES (%(name)s, now() + %(delay)s)
    ON CONFLICT (name) DO UPDATE SET free_at = greatest(host.free_at, now()) + %(delay)s
    WHERE host.free_at <= now() + %(patience)s
    RETURNING extract(epoch FROM host.free_at - %(delay)s - now())
"""
_FREE_IN = "SELECT extract(epoch FROM free_at - now()) FROM {table} WHERE name = %(name)s"


class Politeness:
    """Of one turn. A robots.txt that this process has read lately is not asked for again, unless a person wants all
    of it read anew."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rules: dict[str, Protego] = {}

    def allows(self, url: str) -> bool:
        """What the server's robots.txt says. One that cannot be had now forbids everything, one that is not there
        nothing (RFC 9309). Raises FetchFailed in the first case."""
        return bool(self._rules_of(url).can_fetch(url, fetching.ROBOT))

    def require(self, url: str) -> None:
        """Raises FetchFailed where the server does not want it read, or cannot be asked."""
        if not self.allows(url):
            raise FetchFailed("robots_disallowed")

    def wait(self, url: str) -> None:
        """Until the server may be asked again, by whichever worker. Raises SyncPostponed where that is long."""
        delay = timedelta(seconds=self._delay(url))
        parameters: dict[str, Any] = {
            "name": site_of(url)[:260],
            "delay": delay,
            "patience": timedelta(seconds=_PATIENCE_SECONDS),
        }
        table = Host._meta.db_table  # noqa: SLF001 - Django's documented API
        with connection.cursor() as cursor:
            cursor.execute(_TAKE.format(table=table), parameters)
            taken = cursor.fetchone()
            if taken is None:
                cursor.execute(_FREE_IN.format(table=table), parameters)
                found = cursor.fetchone()
                raise SyncPostponed(timedelta(seconds=max(1.0, float(found[0]) if found else 1.0)), "", "")
        self._run.rest(float(taken[0]))

    def _delay(self, url: str) -> float:
        rules = self._rules.get(origin_of(url))
        asked = float((rules.crawl_delay(fetching.ROBOT) if rules else None) or 0)
        return max(settings.WEB_DELAY_SECONDS, min(asked, DELAY_MAX_SECONDS))

    def _rules_of(self, url: str) -> Protego:
        origin = origin_of(url)
        if origin not in self._rules:
            known = None if self._run.full else _known(origin)
            if known is None:
                self.wait(url)
                known = _robots(origin)
                _keep(origin, known)
            self._rules[origin] = known
        return self._rules[origin]


def forget_robots() -> None:
    """What this process has read, as if it had just started."""
    with _keeping:
        _kept.clear()


def _known(origin: str) -> Protego | None:
    read_at, rules = _kept.get(origin, (0.0, None))
    return rules if time.monotonic() - read_at < ROBOTS_SECONDS else None


def _keep(origin: str, rules: Protego) -> None:
    """The oldest make room: each may be half a megabyte."""
    with _keeping:
        _kept.pop(origin, None)
        while len(_kept) >= _ROBOTS_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[origin] = (time.monotonic(), rules)


def _robots(origin: str) -> Protego:
    try:
        answer = fetching.get(f"{origin}/robots.txt", limit=ROBOTS_BYTES)
    except FetchFailed as exc:
        if 400 <= exc.answered < 500 and not exc.passing:
            return Protego.parse("")
        if exc.code in ("too_large", "too_many_redirects"):
            return Protego.parse("")
        raise
    return Protego.parse(answer.content.decode("utf-8-sig", "replace"))
