import re

import pytest
from django.test import Client

from backend.users import links
from backend.users.models import User

NEW = "a new long secret"


def csrf(page: bytes) -> str:
    found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found.group(1).decode()


@pytest.mark.parametrize("purpose", [links.VERIFY_EMAIL, links.RESET_PASSWORD], ids=lambda each: each.path)
def test_opening_the_link_changes_nothing(client: Client, owner: User, purpose: links.Purpose) -> None:
    before = User.objects.values().get()
    for _ in range(2):
        answer = client.get(links.url(owner, purpose).removeprefix("http://127.0.0.1:8000"))
        assert answer.status_code == 200
    assert User.objects.values().get() == before


def test_page_runs_no_script_and_stays_private(client: Client, db: None) -> None:
    answer = client.get("/verify-email", {"token": '"><script>alert(1)</script>'})
    assert b"<script" not in answer.content
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_confirming_verifies_the_address(owner: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    token = links.make(owner, links.VERIFY_EMAIL)
    page = browser.get("/verify-email", {"token": token})
    answer = browser.post("/verify-email", {"token": token, "csrfmiddlewaretoken": csrf(page.content)})
    assert (answer.status_code, b"is confirmed" in answer.content) == (200, True)
    owner.refresh_from_db()
    assert owner.email_verified_at is not None


def test_new_password_is_saved(client: Client, owner: User) -> None:
    token = links.make(owner, links.RESET_PASSWORD)
    answer = client.post("/reset-password", {"token": token, "password": f" {NEW} "})
    assert b"is saved" in answer.content
    owner.refresh_from_db()
    assert owner.check_password(f" {NEW} ")


def test_weak_password_is_told_beside_the_field(client: Client, owner: User) -> None:
    token = links.make(owner, links.RESET_PASSWORD)
    answer = client.post("/reset-password", {"token": token, "password": "short"})
    assert answer.status_code == 400
    assert b"too short" in answer.content
    assert token.encode() in answer.content


@pytest.mark.parametrize("path", ["/verify-email", "/reset-password"])
@pytest.mark.parametrize("token", ["", "null", "x" * 501, "a:b:c", "\x00"])
def test_bad_link_is_told(client: Client, owner: User, path: str, token: str) -> None:
    answer = client.post(path, {"token": token, "password": NEW})
    assert answer.status_code == 400
    assert b"errorlist" in answer.content


def test_other_methods_are_refused(client: Client, db: None) -> None:
    assert client.put("/verify-email").status_code == 405
