from backend.core.errors import ChatSphereError, Conflict, NotFound


class SourceNotFound(NotFound):
    """There is no such source, or it is not yours to see."""


class SourceInvalid(ChatSphereError):
    """This source cannot be read."""

    code = "source_invalid"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceKindUnknown(ChatSphereError):
    """This deployment cannot read sources of that kind; see details."""

    code = "source_kind_unknown"


class TooManySources(ChatSphereError):
    """The bot has as many sources as this deployment accepts; see details."""

    code = "too_many_sources"


class DuplicateSource(Conflict):
    """The bot has this source already; see details."""

    code = "duplicate_source"


class SourceBusy(Conflict):
    """The source is being synced, or will be; see details for when."""

    code = "source_busy"


class SourcePaused(Conflict):
    """The source is paused; resume it first."""

    code = "source_paused"


class NothingToResolve(Conflict):
    """The item has no error to resolve."""

    code = "nothing_to_resolve"
