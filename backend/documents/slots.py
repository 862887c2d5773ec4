"""What this process works on at once. One owner never has all of it: whoever else comes finds a slot that is free."""

import threading
from collections import Counter
from collections.abc import Collection
from types import TracebackType
from typing import Self
from uuid import UUID

from django.conf import settings

from backend.documents import claims
from backend.documents.claims import Claim

_choosing = threading.Lock()
_open: "set[Slot]" = set()


class Slot:
    """For one job at a time; there are at most WORKER_CONCURRENCY of them."""

    def __init__(self) -> None:
        self._owner: UUID | None = None

    def __enter__(self) -> Self:
        with _choosing:
            _open.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _choosing:
            _open.discard(self)

    def take(self, *, without: Collection[UUID]) -> list[Claim]:
        """See `claims.take`. Done with what it had before, in the same step: a slot that is refused an owner because of
        us can rely on it that we look again."""
        with _choosing:
            self._owner = None
            full = _owners_at_their_limit()
            taken = claims.take(without_owners=full, without=without)
            if taken:
                self._owner = taken[0].owner_id
            elif full:
                claims.put_off(full)
            return taken


def _owners_at_their_limit() -> list[UUID]:
    most = max(1, settings.WORKER_CONCURRENCY - 1)
    held = Counter(slot._owner for slot in _open)  # noqa: SLF001 - of the same class's siblings
    return [owner for owner, count in held.items() if owner is not None and count >= most]
