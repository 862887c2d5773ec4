"""S22: fields that a form does not have cannot be set through it."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.users import links
from backend.users.models import Session, User
from tests.conftest import PASSWORD

NAMES = {field.name for model in (User, Session) for field in model._meta.get_fields()} | {
    *("user_id", "owner", "credits", "balance", "status", "state", "attempt", "namespace", "role", "email_verified"),
    *("pk", "_state", "__class__", "groups", "user_permissions", "session", "sid"),
}
HOSTILE = dict.fromkeys(NAMES, True) | {"email": "evil@example.com", "id": "00000000-0000-7000-8000-000000000000"}
NEW = "a new long secret"


def snapshot() -> list[dict[str, Any]]:
    return [dict(row) for row in User.objects.order_by("email").values()]


def requests(owner: User) -> dict[str, tuple[str, str, dict[str, object], set[str]]]:
    """Each: method, path, the fields meant, and the columns they may change."""
    verify, reset = links.make(owner, links.VERIFY_EMAIL), links.make(owner, links.RESET_PASSWORD)
    passwords: dict[str, object] = {"current_password": PASSWORD, "new_password": NEW}
    return {
        "rename": ("patch", "me/", {"name": "New"}, {"name"}),
        "change": ("post", "auth/change-password/", passwords, {"password"}),
        "verify": ("post", "auth/verify-email/", {"token": verify}, {"email_verified_at"}),
        "resend": ("post", "auth/resend-verification/", {"email": owner.email}, set()),
        "forgot": ("post", "auth/reset-password/", {"email": owner.email}, set()),
        "reset": (
            *("post", "auth/reset-password/confirm/"),
            {"token": reset, "password": NEW},
            {"password", "email_verified_at"},
        ),
        "login": ("post", "auth/login/", {"email": owner.email, "password": PASSWORD}, set()),
        "logout": ("post", "auth/logout/", {}, set()),
        "logout-all": ("post", "auth/logout-all/", {}, {"login_epoch"}),
    }


@pytest.mark.parametrize(
    "name", ["rename", "change", "verify", "resend", "forgot", "reset", "login", "logout", "logout-all"]
)
def test_only_the_fields_meant_change(
    name: str, owner: User, stranger: User, as_user: Callable[[User], APIClient]
) -> None:
    method, path, fields, changing = requests(owner)[name]
    before = snapshot()
    assert getattr(as_user(owner), method)(f"/api/v1/{path}", {**HOSTILE, **fields}).status_code < 300
    after = snapshot()
    changed = {column for old, new in zip(before, after, strict=True) for column in old if old[column] != new[column]}
    assert changed == changing
    assert after[1] == before[1]


@pytest.mark.django_db
def test_registering_sets_nothing_else(api: APIClient) -> None:
    fields = {**HOSTILE, "email": "new@example.com", "password": PASSWORD, "name": "New"}
    assert api.post("/api/v1/auth/register/", fields).status_code == 202
    user = User.objects.get()
    assert str(user.pk) != HOSTILE["id"]
    assert (user.is_staff, user.is_superuser, user.is_active, user.login_epoch) == (False, False, True, 0)
    assert (user.email_verified_at, user.deleted_at, user.last_login) == (None, None, None)
