"""What this protocol can ask for and this product does not do, each with the parameter that asked for it."""

from http import HTTPStatus

from backend.core.errors import ChatSphereError


class Refused(ChatSphereError):
    """The request is not valid."""

    code = "invalid_value"

    def __init__(self, message: str | None = None, *, param: str | None, code: str | None = None) -> None:
        """`param` names the place as OpenAI does: `messages[2].content[0].type`."""
        super().__init__(message, details={"param": param})
        if code:
            self.code = code


class Unsupported(Refused):
    """This parameter is not supported here."""

    code = "unsupported_parameter"


class UnknownParameter(Refused):
    """There is no such parameter."""

    code = "unknown_parameter"


class ModelNotFound(Refused):
    """There is no such model, or it is not yours to use. GET /v1/models lists those you may use."""

    status = HTTPStatus.NOT_FOUND
    code = "model_not_found"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, param="model")


class UnknownAddress(Refused):
    """This address is not part of what is offered under /v1: chat/completions, embeddings, models."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_url"

    def __init__(self) -> None:
        super().__init__(param=None)
