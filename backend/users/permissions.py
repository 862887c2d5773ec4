from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from backend.users.errors import PersonRequired
from backend.users.models import ApiKey


class IsPerson(IsAuthenticated):
    """Signed in with a password: for what changes the account itself, where a lost key must do no harm."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiKey):
            raise PersonRequired
        return super().has_permission(request, view)
