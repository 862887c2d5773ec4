"""Documents that go their way together, each under a claim of its own: what befalls one does not befall the others."""

from collections.abc import Collection, Iterable
from uuid import UUID

from backend.documents import claims
from backend.documents.claims import Claim, LostClaim


class Batch:
    """`held` are still ours to bring to an end; `lost` were taken from us, and whoever did waits to hear of it."""

    def __init__(self, taken: Iterable[Claim]) -> None:
        self.held = list(taken)
        self.lost: list[Claim] = []

    @property
    def documents(self) -> list[UUID]:
        return [claim.document_id for claim in self.held]

    def lock(self) -> None:
        """Inside a transaction: from here on `held` cannot be taken from us until its end. Raises LostClaim where
        nothing is left."""
        self.keep(claims.lock(self.held))
        if not self.held:
            raise LostClaim

    def keep(self, still: Collection[Claim]) -> None:
        self.lost += [claim for claim in self.held if claim not in still]
        self.held = [claim for claim in self.held if claim in still]

    def lose(self, claim: Claim) -> None:
        self.keep([other for other in self.held if other != claim])

    def ended(self, *ended: Claim) -> None:
        self.held = [claim for claim in self.held if claim not in ended]

    def without_others(self, claim: Claim) -> None:
        """Go on with this one alone, and hand the others back: they need not wait for it."""
        others = [other for other in self.held if other != claim]
        self.held = [claim]
        claims.untake(others)
