from collections.abc import Callable

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.test import APIClient

from backend.core.errors import NotFound
from backend.core.models import IdempotencyRecord
from backend.users import services
from backend.users.models import User
from tests.conftest import PASSWORD

URL = "/api/v1/me/"
Client = Callable[[User], APIClient]


def test_shows_oneself(as_user: Client, owner: User) -> None:
    answer = as_user(owner).get(URL).json()
    assert set(answer) == {"id", "email", "name", "email_verified", "created_at"}
    assert (answer["id"], answer["email"], answer["email_verified"]) == (str(owner.pk), owner.email, False)


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_anonymous_is_refused(api: APIClient, method: str) -> None:
    assert getattr(api, method)(URL).status_code == 401


def test_name_can_be_changed(as_user: Client, owner: User) -> None:
    answer = as_user(owner).patch(URL, {"name": " Renée \U000e0041👩\u200d🔬 "})
    assert (answer.status_code, answer.json()["name"]) == (200, "Renée 👩\u200d🔬")


@pytest.mark.parametrize(
    "body", [{}, {"name": None}, {"name": "x" * 101}, {"name": "a\x00b"}, {"name": ["a"]}, [], "x"]
)
def test_odd_name_is_refused(as_user: Client, owner: User, body: object) -> None:
    assert as_user(owner).patch(URL, body).status_code == 400


def test_deleting_needs_the_password(as_user: Client, owner: User) -> None:
    client = as_user(owner)
    answers = [client.delete(URL, body) for body in ({"password": "wrong"}, {"password": None}, {})]
    assert [answer.status_code for answer in answers] == [403, 400, 400]
    assert client.get(URL).status_code == 200


def test_guessing_the_password_here_is_limited_too(as_user: Client, owner: User, one_window: None) -> None:
    client = as_user(owner)
    tries = [client.delete(URL, {"password": "wrong"}).status_code for _ in range(6)]
    assert tries == [403] * 5 + [429]


def test_deleting_closes_the_account_and_asks_for_erasure(as_user: Client, owner: User) -> None:
    client = as_user(owner)
    assert client.delete(URL, {"password": PASSWORD}).status_code == 204
    assert client.get(URL).status_code == 401
    job = ProcrastinateJob.objects.get(task_name="documents.erase_user")
    assert job.args == {"user_id": str(owner.pk)}
    row = User.objects.get(pk=owner.pk)
    assert (row.is_active, row.name, row.has_usable_password()) == (False, "", False)
    assert row.deleted_at is not None


def test_deleting_twice_is_once(owner: User) -> None:
    for _ in range(2):
        services.delete_account(user=owner)
    assert ProcrastinateJob.objects.filter(task_name="documents.erase_user").count() == 1


def test_deleting_frees_the_address(api: APIClient, owner: User, no_limits: None) -> None:
    services.delete_account(user=owner)
    api.post("/api/v1/auth/register/", {"email": owner.email, "password": PASSWORD})
    assert api.post("/api/v1/auth/login/", {"email": owner.email, "password": PASSWORD}).status_code == 200


def test_no_word_about_the_person_stays_in_our_tables(owner: User) -> None:
    canaries = {"name": "canary-name", "email": "canary@example.com"}
    User.objects.filter(pk=owner.pk).update(**canaries)
    services.open_session(user=owner, user_agent="canary-agent")
    IdempotencyRecord.objects.create(user=owner, key="k", fingerprint="f", status=201, body={"text": "canary-body"})
    LogEntry.objects.create(
        user=owner,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(owner.pk),
        object_repr="canary@example.com",
        action_flag=CHANGE,
    )
    services.delete_account(user=owner)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE %s', ["%canary%"])  # noqa: S608 - our names
            assert (table, cursor.fetchone()[0]) == (table, 0)


def test_deleted_account_cannot_be_activated(owner: User) -> None:
    services.delete_account(user=owner)
    with pytest.raises(NotFound):
        services.activate(user=owner)
