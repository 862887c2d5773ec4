from rest_framework.request import Request

from backend.users.models import User


def user_of(request: Request) -> User:
    """The signed-in user; for views behind IsAuthenticated, where nobody else arrives."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - tells the type checker what the permission guarantees
    return user
