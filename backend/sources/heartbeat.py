"""Keeps the lease of whoever is at work."""

import threading
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models.functions import Now

from backend.core.jobs import draining
from backend.sources.claims import Claim, Draining, LostClaim, write


class Heartbeat:
    """Renews the lease while the block runs; `check` tells the block whether to go on."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {claim.source_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises LostClaim or Draining."""
        if self._lost.is_set():
            raise LostClaim
        if draining.is_set():
            raise Draining

    def _beat(self) -> None:
        try:
            while not self._stop.wait(settings.INGEST_HEARTBEAT.total_seconds()):
                self._renew()
        finally:
            connection.close()

    def _renew(self) -> None:
        try:
            write(self._claim, lease_until=Now() + settings.INGEST_LEASE)
        except LostClaim:
            self._lost.set()
        except DatabaseError:
            # Not known to be lost: the next beat tells, or the run's own write, which names the fence as well.
            connection.close()
