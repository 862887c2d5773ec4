from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from backend.core.client_address import client_address
from backend.core.errors import TooManyRequests
from backend.users.limits import count_password_try
from backend.users.models import User


class BrowserLoginBackend(ModelBackend):
    """The forms of the admin and of the browsable API, under the same limits and rules as the API's login."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if request is None or username is None or password is None:
            return None
        try:
            count_password_try(email=username, address=client_address(request))
        except TooManyRequests as exc:
            raise PermissionDenied from exc  # the form says what it says to a wrong password, and none is compared
        return super().authenticate(request, username, password, **kwargs)

    def user_can_authenticate(self, user: Any) -> bool:
        verified = not settings.REQUIRE_VERIFIED_EMAIL or user.is_superuser or user.email_verified_at is not None
        return isinstance(user, User) and user.is_active and verified
