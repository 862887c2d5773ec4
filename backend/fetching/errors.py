from http import HTTPStatus

from backend.core.errors import ChatSphereError

_SENTENCES = {
    "url_invalid": "This is not a web address that can be asked.",
    "scheme_refused": "Only http:// and https:// addresses are asked.",
    "port_refused": "This deployment asks no server at that port. Its operator can allow it (FETCH_PORTS).",
    "address_refused": "The address does not lead to the public internet. The operator can allow a network of one's own"
    " (FETCH_ALLOWED_NETWORKS).",
    "dns_failed": "The name of the server could not be resolved.",
    "connect_failed": "The server could not be reached.",
    "tls_failed": "No safe connection: the server's certificate is not valid for its name.",
    "timeout": "The server took too long.",
    "protocol_error": "The server answered something that is not HTTP, or broke off.",
    "too_large": "The answer is larger than this deployment accepts.",
    "encoding_refused": "The answer is packed in a way that cannot be read.",
    "robots_disallowed": "The site's robots.txt does not want it read.",
    "redirect_refused": "The server sends on to another place.",
    "too_many_redirects": "The server sends on and on to other addresses.",
}
_PASSING = {"dns_failed", "connect_failed", "timeout", "protocol_error"}
_PASSING_STATUS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class FetchFailed(ChatSphereError):
    """The address could not be fetched."""

    def __init__(self, code: str, *, status: int = 0, retry_after: int | None = None) -> None:
        """`code` is a name in the table above, or "http_404" and the like, with the server's `status`. The message
        never holds the address, which may carry a secret."""
        super().__init__(_SENTENCES.get(code) or _sentence_of(status), retry_after=retry_after)
        self.code = code
        self.answered = status  # what the server said; 0 where it said nothing

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed another time."""
        return (
            self.code in _PASSING
            or self.answered in _PASSING_STATUS
            or self.answered >= HTTPStatus.INTERNAL_SERVER_ERROR
        )


def of_status(status: int, *, retry_after: int | None = None) -> FetchFailed:
    return FetchFailed(f"http_{status}", status=status, retry_after=retry_after)


def _sentence_of(status: int) -> str:
    try:
        return f'The server answered {status}, "{HTTPStatus(status).phrase}".'
    except ValueError:
        return f"The server answered {status}."
