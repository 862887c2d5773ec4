from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict


class DuplicateQuestion(Conflict):
    """Another pair of this bot answers this question already; see details."""

    code = "duplicate_question"


class TooManyQuestions(ChatSphereError):
    """This bot has as many pairs as one bot may have."""

    status = HTTPStatus.FORBIDDEN
    code = "too_many_questions"


class QuestionSaysNothing(ChatSphereError):
    """A question needs at least one letter or figure."""

    code = "question_says_nothing"
