from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict, NotFound


class NotEnoughCredits(ChatSphereError):
    """There are not enough credits for this."""

    status = HTTPStatus.FORBIDDEN
    code = "not_enough_credits"


class InvalidAmount(ChatSphereError):
    """This amount of credits is not allowed here; see details."""

    code = "invalid_amount"


class KeyUsedForAnotherEntry(ChatSphereError):
    """This key was used before for another ledger entry."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"


class ReferenceUsedForAnotherHold(Conflict):
    """Credits were already held for this reference, by another account or in another amount."""

    code = "reference_reused"


class HoldNotFound(NotFound):
    """No credits were held for this reference."""

    code = "hold_not_found"


class NoPrice(ChatSphereError):
    """The price book has no valid price for this model; an administrator must add one."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "no_price"


class PriceConflict(Conflict):
    """This price overlaps another one of the same model."""

    code = "price_conflict"


class QuotaExceeded(ChatSphereError):
    """Your plan does not allow more; delete something, or ask for a larger plan. See details."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self, what: str, *, limit: int, used: int) -> None:
        """`what` is a limit of `Plan`; the code names it: quota_bots, quota_files, quota_bytes or quota_pages."""
        super().__init__(details={"limit": limit, "used": used})
        self.code = f"quota_{what}"
