from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict


class TooManyEndpoints(ChatSphereError):
    """You have as many webhooks as one account may have; delete one first."""

    status = HTTPStatus.FORBIDDEN
    code = "too_many_endpoints"


class AddressRefused(ChatSphereError):
    """A webhook cannot be sent to this address."""

    code = "address_refused"


class EndpointDisabled(Conflict):
    """This webhook is switched off; switch it on first."""

    code = "endpoint_disabled"


class NothingToRedeliver(Conflict):
    """This message is still being sent."""

    code = "nothing_to_redeliver"
