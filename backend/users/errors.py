from http import HTTPStatus

from backend.core.errors import ChatSphereError


class InvalidCredentials(ChatSphereError):
    """E-mail or password is wrong."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_credentials"


class EmailNotVerified(ChatSphereError):
    """Confirm your e-mail address first; we can send you the link again."""

    status = HTTPStatus.FORBIDDEN
    code = "email_not_verified"


class InvalidRefreshToken(ChatSphereError):
    """The refresh token is not valid or has expired; log in again."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_refresh_token"


class RefreshTokenReused(ChatSphereError):
    """This refresh token was used before. Its session has been ended for safety; log in again."""

    status = HTTPStatus.UNAUTHORIZED
    code = "refresh_token_reused"


class InvalidLink(ChatSphereError):
    """This link is not valid, has expired or was used before."""

    code = "invalid_link"


class WrongPassword(ChatSphereError):
    """The current password is wrong."""

    status = HTTPStatus.FORBIDDEN
    code = "wrong_password"


class WeakPassword(ChatSphereError):
    """This password is too easy to guess; see details."""

    code = "weak_password"


class TooManyApiKeys(ChatSphereError):
    """You have as many API keys as one account may have; revoke one first."""

    status = HTTPStatus.CONFLICT
    code = "too_many_api_keys"


class PersonRequired(ChatSphereError):
    """An API key may not do this; log in."""

    status = HTTPStatus.FORBIDDEN
    code = "person_required"
