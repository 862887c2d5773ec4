from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest
from django.core import mail
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient

from backend.users.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/register/"


def fields(email: str = "new@example.com", password: str = PASSWORD) -> dict[str, str]:
    return {"email": email, "password": password, "name": "New"}


def test_makes_an_account_and_sends_a_link(api: APIClient, run_jobs: Callable[[], list[str]]) -> None:
    assert api.post(URL, fields()).status_code == 202
    assert run_jobs() == ["users.send_verification_email"]
    user = User.objects.get(email="new@example.com")
    assert user.check_password(PASSWORD)
    assert user.email_verified_at is None
    assert mail.outbox[0].to == ["new@example.com"]
    assert "http://127.0.0.1:8000/verify-email?token=" in str(mail.outbox[0].body)


def test_no_secret_waits_in_the_queue(api: APIClient) -> None:
    api.post(URL, fields())
    job = ProcrastinateJob.objects.get()
    assert job.args == {"user_id": str(User.objects.get().pk)}


@pytest.mark.parametrize("spelling", ["owner@example.com", "OWNER@Example.COM", "  owner@example.com "])
def test_known_address_gets_a_letter_and_no_second_account(
    api: APIClient, owner: User, run_jobs: Callable[[], list[str]], spelling: str
) -> None:
    known = api.post(URL, fields(spelling, "another long secret"))
    unknown = api.post(URL, fields("unknown@example.com"))
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert run_jobs() == ["users.send_account_exists_email", "users.send_verification_email"]
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


def test_international_domain_has_one_spelling(api: APIClient) -> None:
    for email in ("a@bücher.example", "A@BÜCHER.example", "a@xn--bcher-kva.example"):
        assert api.post(URL, fields(email)).status_code == 202
    assert [user.email for user in User.objects.all()] == ["a@xn--bcher-kva.example"]


@pytest.mark.parametrize("password", ["short", "password1234", "new@example.com", "x" * 257, "", "with\x00nul in it"])
def test_weak_password_is_refused(api: APIClient, password: str) -> None:
    response = api.post(URL, fields(password=password))
    assert response.status_code == 400
    assert response.json()["code"] in {"invalid", "weak_password", "parse_error"}
    assert not User.objects.exists()


def test_weak_password_is_refused_alike_for_a_known_address(api: APIClient, owner: User) -> None:
    known, unknown = (api.post(URL, fields(email, "short")).json() for email in (owner.email, "un@example.com"))
    assert known["details"] == unknown["details"]


@pytest.mark.parametrize(
    "email", ["", "no-at", "ſ@example.com", "a@" + "ü" * 60 + ".de", "a@b", "a" * 250 + "@b.de", 7]
)
def test_odd_address_is_refused(api: APIClient, email: object) -> None:
    response = api.post(URL, {"email": email, "password": PASSWORD})
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_blanks_around_a_password_belong_to_it(api: APIClient) -> None:
    api.post(URL, fields(password=f" {PASSWORD} "))
    assert User.objects.get().check_password(f" {PASSWORD} ")


def test_fifth_is_the_last_in_an_hour(api: APIClient, one_window: None) -> None:
    answers = [api.post(URL, fields(f"n{number}@example.com")).status_code for number in range(6)]
    assert answers == [202] * 5 + [429]
    assert api.post(URL, fields(), HTTP_X_FORWARDED_FOR="203.0.113.7").status_code == 429


@pytest.mark.usefixtures("transactional_db", "no_limits")
def test_parallel_registrations_make_one_account(live_server: LiveServer) -> None:
    start = Barrier(4)

    def register(_: int) -> int:
        start.wait(timeout=30)
        return httpx.post(live_server.url + URL, json=fields(), trust_env=False, timeout=30).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(register, range(4))) == {202}
    letters = ProcrastinateJob.objects.filter(args={"user_id": str(User.objects.get().pk)})
    names = sorted(letters.values_list("task_name", flat=True))
    assert names == ["users.send_account_exists_email"] * 3 + ["users.send_verification_email"]
