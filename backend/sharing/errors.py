from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict


class NothingToShare(Conflict):
    """There is no answer in this conversation yet."""

    code = "nothing_to_share"


class TooManyShares(ChatSphereError):
    """This conversation has as many links as one may have; revoke one first."""

    status = HTTPStatus.CONFLICT
    code = "too_many_shares"
