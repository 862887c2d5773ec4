import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client
from django.urls import reverse

from backend.users import services
from backend.users.models import Session, User
from tests.conftest import PASSWORD

LIST = "/admin/users/user/"


@pytest.fixture
def chief(db: None) -> User:
    return User.objects.create_superuser("chief@example.com", PASSWORD)


@pytest.fixture
def clerk(db: None) -> User:
    """Staff with every permission over users, but no superuser."""
    user = User.objects.create_user("clerk@example.com", PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="users"))
    return user


def desk(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, action: str, *users: User) -> None:
    answer = client.post(LIST, {"action": action, "_selected_action": [user.pk for user in users]})
    assert answer.status_code == 302


def test_finds_by_address(chief: User, owner: User, stranger: User) -> None:
    page = desk(chief).get(LIST, {"q": "stranger@EXAMPLE"}).content.decode()
    assert stranger.email in page
    assert owner.email not in page


def test_leads_to_what_the_user_has_to_spend(chief: User, owner: User) -> None:
    page = desk(chief).get(f"{LIST}{owner.pk}/change/").content.decode()
    assert f'<a href="{reverse("admin:credits_account_of_user", args=[owner.pk])}">' in page


def test_shows_neither_password_nor_hashes(chief: User, owner: User) -> None:
    pair = services.open_session(user=owner, user_agent="Somebody's phone")
    page = desk(chief).get(f"{LIST}{owner.pk}/change/").content.decode()
    assert "Somebody&#x27;s phone" in page
    for secret in (owner.password, "argon2", pair.refresh, owner.sessions.get().refresh_tokens.get().hash):
        assert secret not in page


def test_suspends_and_activates_through_the_services(chief: User, owner: User) -> None:
    services.open_session(user=owner, user_agent="")
    act(desk(chief), "suspend", owner, chief)
    owner.refresh_from_db()
    chief.refresh_from_db()
    assert (owner.is_active, chief.is_active) == (False, True)
    assert Session.objects.get().revoked_at is not None
    act(desk(chief), "activate", owner)
    owner.refresh_from_db()
    assert owner.is_active


def test_deleted_stays_deleted(chief: User, owner: User) -> None:
    services.delete_account(user=owner)
    act(desk(chief), "activate", owner)
    owner.refresh_from_db()
    assert not owner.is_active


def test_sends_a_letter_to_choose_a_password(chief: User, owner: User, run_jobs: object) -> None:
    act(desk(chief), "send_password_reset", owner)
    assert callable(run_jobs)
    run_jobs()
    assert [letter.to for letter in mail.outbox] == [[owner.email]]


def test_deleting_goes_through_the_service(chief: User, owner: User) -> None:
    url = f"{LIST}{owner.pk}/delete/"
    assert owner.email in desk(chief).get(url).content.decode()
    assert desk(chief).post(url, {"post": "yes"}).status_code == 302
    assert User.objects.get(pk=owner.pk).deleted_at is not None


def test_deleting_many_spares_oneself(chief: User, owner: User, stranger: User) -> None:
    chosen = [chief.pk, owner.pk, stranger.pk]
    desk(chief).post(LIST, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert set(User.objects.filter(deleted_at=None)) == {chief}


def test_adds_an_account_with_a_hashed_password(chief: User) -> None:
    assert "password2" in desk(chief).get(f"{LIST}add/").content.decode()
    fields = {"email": "Added@Example.com", "name": "", "password1": PASSWORD, "password2": PASSWORD}
    fields["usable_password"] = "true"
    assert desk(chief).post(f"{LIST}add/", fields).status_code == 302
    assert User.objects.get(email="added@example.com").check_password(PASSWORD)


def test_saves_only_what_was_edited(chief: User, owner: User) -> None:
    fields = {"name": "Renamed", "is_staff": "on", "is_active": "", "email": "x@example.com", **inline()}
    assert desk(chief).post(f"{LIST}{owner.pk}/change/", fields).status_code == 302
    owner.refresh_from_db()
    assert (owner.name, owner.is_staff, owner.is_active, owner.email) == ("Renamed", True, True, "owner@example.com")


def test_clerk_cannot_give_rights(clerk: User, owner: User) -> None:
    fields = {"name": "Renamed", "is_staff": "on", "is_superuser": "on", **inline()}
    assert desk(clerk).post(f"{LIST}{owner.pk}/change/", fields).status_code == 302
    owner.refresh_from_db()
    assert (owner.name, owner.is_staff, owner.is_superuser) == ("Renamed", False, False)


def test_clerk_cannot_touch_a_superuser(clerk: User, chief: User) -> None:
    client = desk(clerk)
    assert client.post(f"{LIST}{chief.pk}/change/", {"name": "x", **inline()}).status_code == 403
    assert client.post(f"{LIST}{chief.pk}/delete/", {"post": "yes"}).status_code == 403
    for action in ("suspend", "activate", "send_password_reset"):
        act(client, action, chief)
    client.post(LIST, {"action": "delete_selected", "_selected_action": [chief.pk], "post": "yes"})
    chief.refresh_from_db()
    assert (chief.is_active, chief.deleted_at) == (True, None)


def test_is_closed_to_others(owner: User, chief: User) -> None:
    assert desk(owner).get(LIST).status_code == 302
    pair = services.open_session(user=chief, user_agent="")
    assert Client().get(LIST, headers={"authorization": f"Bearer {pair.access}"}).status_code == 302


def inline() -> dict[str, str]:
    forms = ("TOTAL_FORMS", "INITIAL_FORMS")
    return {f"{rows}-{name}": "0" for rows in ("sessions", "api_keys") for name in forms}
