"""Every refusal of the agent: an HTTP status, a code for programs, a sentence for people, and whether trying again
may help.

A vendor's own words are never part of a message: error bodies of vendors have been seen to repeat keys and prompts.
"""

from typing import Literal

from agent_service.contract import ErrorBody

Detail = str | int | float | bool | None


class AgentServiceError(Exception):
    """Something went wrong in the agent service."""

    status = 500
    code = "internal_error"
    retryable = False

    def __init__(
        self, message: str = "", *, details: dict[str, Detail] | None = None, retry_after: float | None = None
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = details or {}
        self.retry_after = retry_after
        super().__init__(self.message)

    def body(self, request_id: str = "-") -> ErrorBody:
        return ErrorBody(
            code=self.code,
            message=self.message,
            retryable=self.retryable,
            details=self.details,
            request_id=request_id,
        )


class Unauthenticated(AgentServiceError):
    """A valid service token is needed."""

    status = 401
    code = "service_token_invalid"


class Forbidden(AgentServiceError):
    """The service token does not allow this."""

    status = 403
    code = "forbidden"


class NotFound(AgentServiceError):
    """There is nothing at this address."""

    status = 404
    code = "not_found"


class NoSuchModel(NotFound):
    """There is no model of this id or name here."""

    code = "model_unknown"


class UnknownNamespaces(AgentServiceError):
    """The names of these namespaces are needed once more."""

    status = 409
    code = "unknown_namespaces"


class MethodNotAllowed(AgentServiceError):
    """This address does not answer this method."""

    status = 405
    code = "method_not_allowed"


class BodyTimeout(AgentServiceError):
    """The request's body did not arrive in time."""

    status = 408
    code = "request_timeout"
    retryable = True


class BodyTooLarge(AgentServiceError):
    """The request's body is too large."""

    status = 413
    code = "request_too_large"


class InvalidRequest(AgentServiceError):
    """The request is not valid."""

    status = 422
    code = "invalid_request"


class UnknownModel(InvalidRequest):
    """This model is not available here."""

    code = "model_unknown"


class UnknownEmbedding(InvalidRequest):
    """This embedding is not available here."""

    code = "embedding_unknown"


class PromptTooLong(InvalidRequest):
    """The question and its passages do not fit into what the model can read."""

    code = "prompt_too_long"


class ImageUnsupported(InvalidRequest):
    """None of the models that may answer can look at images."""

    code = "image_unsupported"


class ImageInvalid(InvalidRequest):
    """An image cannot be read as what it says it is."""

    code = "image_invalid"


class ImageTooLarge(InvalidRequest):
    """The images are too large."""

    code = "image_too_large"


class PriceUnknown(InvalidRequest):
    """Nobody has told what this model costs."""

    code = "price_unknown"


class CallerLeft(AgentServiceError):
    """The caller went away before the answer."""

    status = 499
    code = "caller_left"


class Overloaded(AgentServiceError):
    """Too many requests at once."""

    status = 503
    code = "overloaded"
    retryable = True


class Misconfigured(AgentServiceError):
    """A part of the service is not set up."""

    status = 503
    code = "misconfigured"


class EmbeddingInvalid(AgentServiceError):
    """The embedding model answered with vectors that cannot be used; nothing was stored."""

    status = 502
    code = "embedding_invalid"
    retryable = True


Kind = Literal[
    "unreachable",
    "timeout",
    "rate_limited",
    "unavailable",
    "rejected",
    "unauthorised",
    "garbage",
    "incomplete",
    "open",
    "full",
]
"""What an upstream did: connection refused or lost; too slow; 429; 5xx; 4xx about the request; 401, 403 or a missing
key; an answer that cannot be read; an answer without its end; not asked, because it failed a moment ago; not asked,
because it has as many calls of ours as it may have at once.
"""

_KINDS: dict[Kind, tuple[int, str, bool, str]] = {
    "unreachable": (503, "upstream_unavailable", True, "{} cannot be reached."),
    "timeout": (504, "upstream_timeout", True, "{} did not answer in time."),
    "rate_limited": (503, "upstream_rate_limited", True, "{} asks us to slow down."),
    "unavailable": (503, "upstream_unavailable", True, "{} is not available."),
    "rejected": (502, "upstream_rejected", False, "{} refused the request."),
    "unauthorised": (502, "upstream_unauthorised", False, "{} refused our credentials."),
    "garbage": (502, "upstream_garbage", True, "{} answered with something that cannot be read."),
    "incomplete": (502, "upstream_incomplete", True, "{} stopped before the answer was complete."),
    "open": (503, "upstream_unavailable", True, "{} has been failing and is left alone for a moment."),
    "full": (503, "upstream_busy", True, "{} has as many calls as it may have at once."),
}


class UpstreamError(AgentServiceError):
    """A model or a vector store failed.

    `upstream` names it (`google:gemini-2.5-flash`, `pgvector`), `status` is the HTTP status it gave, where it gave
    one, and `retry_after` the seconds it asked us to wait. `retryable` follows from the kind unless told.
    """

    def __init__(
        self,
        kind: Kind,
        upstream: str,
        message: str = "",
        *,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        http_status, code, may_help, sentence = _KINDS[kind]
        details: dict[str, Detail] = {"upstream": upstream, "kind": kind}
        if status is not None:
            details["upstream_status"] = status
        super().__init__(message or sentence.format(upstream), details=details, retry_after=retry_after)
        self.kind = kind
        self.upstream = upstream
        self.upstream_status = status
        self.status = http_status
        self.code = code
        self.retryable = may_help if retryable is None else retryable
