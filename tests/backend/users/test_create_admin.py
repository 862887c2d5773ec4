import io

import pytest
from django.core.management import CommandError, call_command

from backend.users import services
from backend.users.models import Session, User
from tests.conftest import PASSWORD

NEW = "a new long secret"


def create(monkeypatch: pytest.MonkeyPatch, email: str, password: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    out = io.StringIO()
    call_command("create_admin", "--password-stdin", email=email, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_makes_an_admin_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert create(monkeypatch, "Admin@Example.com", PASSWORD) == "admin@example.com is now an admin.\n"
    assert create(monkeypatch, "admin@example.com", NEW) == "admin@example.com is already an admin.\n"
    admin = User.objects.get()
    assert (admin.is_staff, admin.is_superuser, admin.check_password(PASSWORD)) == (True, True, True)
    assert admin.email_verified_at is not None


def test_who_registered_the_address_before_does_not_become_admin(monkeypatch: pytest.MonkeyPatch, owner: User) -> None:
    services.open_session(user=owner, user_agent="")
    create(monkeypatch, owner.email, NEW)
    owner.refresh_from_db()
    assert (owner.is_superuser, owner.check_password(PASSWORD)) == (True, False)
    assert not Session.objects.live().exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("email", "password"), [("no-address", PASSWORD), ("a@example.com", "short"), ("", "")])
def test_refuses_bad_input(monkeypatch: pytest.MonkeyPatch, email: str, password: str) -> None:
    with pytest.raises(CommandError):
        create(monkeypatch, email, password)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_asks_for_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.users.management.commands.create_admin.getpass", lambda _: PASSWORD)
    call_command("create_admin", email="admin@example.com", stdout=io.StringIO())
    assert User.objects.get().check_password(PASSWORD)
