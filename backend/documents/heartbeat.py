"""Keeps the leases of those who are at work."""

import threading
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from backend.documents import claims
from backend.documents.claims import Claim, Draining, LostClaim, draining


class Heartbeat:
    """Renews the leases while the block runs; `check` tells the block whether to go on."""

    def __init__(self, *held: Claim) -> None:
        self._held = held
        self._lost: frozenset[Claim] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {held[0].document_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self, *claims: Claim) -> None:
        """Raises LostClaim where none of these, by default of all, is held any more, or Draining."""
        if self._lost.issuperset(claims or self._held):
            raise LostClaim
        if draining.is_set():
            raise Draining

    def _beat(self) -> None:
        while not self._stop.wait(settings.INGEST_HEARTBEAT.total_seconds()):
            self._renew()

    def _renew(self) -> None:
        try:
            self._lost = frozenset(self._held) - frozenset(claims.renew(self._held))
        except DatabaseError:
            pass  # not known to be lost: the next beat tells, or the worker's own write, which names the fence as well
        finally:
            connection.close()  # back to the pool: there are more of us than it has connections
