from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict, NotFound


class ConversationNotFound(NotFound):
    """There is no such conversation, or it is not yours."""


class AnswerInProgress(Conflict):
    """This conversation's last answer is still being given; wait for its end or stop it."""

    code = "answer_in_progress"


class NothingToRegenerate(Conflict):
    """Only the newest question of a conversation can be answered again."""

    code = "nothing_to_regenerate"


class NotReplayable(Conflict):
    """This answer cannot be given again: it was not made by one question to a model, or it has no receipt."""

    code = "not_replayable"


class SourceDeleted(Conflict):
    """What this answer was given from has been deleted, or switched off, since."""

    code = "source_deleted"


class ImageNotFound(NotFound):
    """The message has no such image, or it is not yours."""


class TurnInterrupted(ChatSphereError):
    """The answer was interrupted on our side; nothing was charged. Ask again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "interrupted"
    retryable = True


class TurnRestarting(TurnInterrupted):
    """The service is restarting; nothing was charged. Ask again."""

    code = "restarting"
