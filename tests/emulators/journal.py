"""What an emulator saw: every call, what ended it and when. Keys are noted as present or absent and never kept."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from starlette.types import Scope

SECRET_HEADERS = frozenset({"x-goog-api-key", "x-api-key", "api-key", "authorization", "cookie"})

KEPT_CALLS = 5000
"""The oldest are forgotten beyond that, but still counted: an emulator may run for days."""

Ending = Literal["complete", "cut", "client_closed"]


@dataclass(slots=True)
class Call:
    """Times are seconds of the monotonic clock. `ended` is None while the answer is still being sent."""

    number: int
    route: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    has_key: bool
    body: Any
    client: str
    started: float
    fault: str | None = None
    pieces: int = 0
    ended: Ending | None = None
    finished: float | None = None


@dataclass(slots=True)
class Journal:
    calls: list[Call] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, route: str, scope: Scope, headers: Mapping[str, str], body: Any) -> Call:
        seen = dict(headers)
        kept = {name: value for name, value in seen.items() if name not in SECRET_HEADERS}
        with self._lock:
            call = Call(
                number=self.counts.total(),
                route=route,
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                headers=kept,
                has_key=len(kept) < len(seen),
                body=body,
                client="{}:{}".format(*scope["client"]),
                started=time.monotonic(),
            )
            self.calls.append(call)
            self.counts[route] += 1
            if len(self.calls) > KEPT_CALLS:
                del self.calls[0]
        return call

    def close(self, call: Call, ended: Ending) -> None:
        if call.ended is None:
            call.ended, call.finished = ended, time.monotonic()

    def count(self, route: str | None = None) -> int:
        return self.counts.total() if route is None else self.counts[route]

    def of(self, route: str) -> list[Call]:
        return [call for call in list(self.calls) if call.route == route]

    @property
    def open_streams(self) -> int:
        return sum(1 for call in list(self.calls) if call.ended is None)

    @property
    def connections(self) -> int:
        """How many connections the calls came over."""
        return len({call.client for call in list(self.calls)})

    def clear(self) -> None:
        with self._lock:
            self.calls.clear()
            self.counts.clear()

    def summary(self, last: int = 200) -> dict[str, Any]:
        calls = list(self.calls)
        return {
            "counts": dict(self.counts),
            "endings": dict(Counter(call.ended or "open" for call in calls)),
            "open_streams": self.open_streams,
            "calls": [asdict(call) for call in calls[-last:]],
        }
