"""Limits on how often something may be tried, counted in the database so that every process sees the same number."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from backend.core import prepared
from backend.core.errors import TooManyRequests


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in every fixed window of `per`; `count` 0 switches the limit off."""

    scope: str
    count: int
    per: timedelta


_COUNT = """
    INSERT INTO core_ratecounter AS counter (scope, ident, "window", count)
    VALUES (%(scope)s, %(ident)s, to_timestamp(floor(extract(epoch FROM now()) / %(per)s::int) * %(per)s::int), 1)
    ON CONFLICT (scope, ident, "window") DO UPDATE SET count = counter.count + 1
    RETURNING count, ceil(extract(epoch FROM "window") + %(per)s::int - extract(epoch FROM now()))::int
"""


def hit(limit: Limit, ident: str) -> None:
    """Count one attempt by `ident`; raises TooManyRequests, with Retry-After the rest of the window, past the limit."""
    if not limit.count:
        return
    seconds = int(limit.per.total_seconds())
    digest = hashlib.sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()
    ((count, remaining),) = prepared.rows(_COUNT, {"scope": limit.scope, "ident": digest, "per": seconds})
    if count > limit.count:
        raise TooManyRequests(max(1, remaining), details={"scope": limit.scope, "limit": limit.count})
