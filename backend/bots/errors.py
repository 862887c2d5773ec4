from backend.core.errors import ChatSphereError, NotFound


class BotNotFound(NotFound):
    """There is no such bot, or it is not yours to see."""


class ModelUnknown(ChatSphereError):
    """This deployment does not offer that model."""

    code = "model_unknown"
