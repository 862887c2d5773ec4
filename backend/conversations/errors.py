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


class TurnInterrupted(ChatSphereError):
    """The answer was interrupted on our side; nothing was charged. Ask again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "interrupted"
    retryable = True


class TurnRestarting(TurnInterrupted):
    """The service is restarting; nothing was charged. Ask again."""

    code = "restarting"
