from backend.core.errors import ChatSphereError, Conflict, NotFound


class BotNotFound(NotFound):
    """There is no such bot, or it is not yours to see."""


class ModelUnknown(ChatSphereError):
    """This deployment does not offer that model; GET gateway/models/ lists those it does."""

    code = "model_unknown"


class AgentUnknown(ChatSphereError):
    """This deployment has no such agent; GET agents/ lists those it has."""

    code = "agent_unknown"


class EmbeddingUnknown(ChatSphereError):
    """This deployment does not offer that embedding; GET gateway/models/ lists those it does."""

    code = "embedding_unknown"


class EmbeddingServes(Conflict):
    """The bot answers with this embedding already."""

    code = "embedding_serves"


class IndexBusy(Conflict):
    """Another index is being built for this bot; cancel that first."""

    code = "index_busy"


class NoIndexBuild(Conflict):
    """No index is being built for this bot."""

    code = "no_index_build"
