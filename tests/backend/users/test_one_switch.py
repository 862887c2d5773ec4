"""S3 for accounts: one switch closes every door at once, and opening it again brings no old key back."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from backend.mcp_server import sessions
from backend.users import api_keys, links, services
from backend.users.models import User
from tests.conftest import PASSWORD

NEW = "a new long secret"
Doors = dict[str, Callable[[], int]]


@pytest.fixture
def doors(owner: User, no_limits: None) -> Doors:
    pair = services.open_session(user=owner, user_agent="")
    browser, bearer = APIClient(), APIClient()
    browser.force_login(owner)
    bearer.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    key = api_keys.create(user=owner, name="program")[1]
    program, openai = APIClient(headers={"X-API-Key": key}), APIClient(headers={"Authorization": f"Bearer {key}"})
    begin = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    reset = {"token": links.make(owner, links.RESET_PASSWORD), "password": NEW + "!"}
    login = {"email": owner.email, "password": PASSWORD}
    session = sessions.new(owner)
    return {
        "access": lambda: bearer.get("/api/v1/me/").status_code,
        "browser": lambda: browser.get("/api/v1/me/").status_code,
        "api key": lambda: program.get("/api/v1/me/").status_code,
        "OpenAI": lambda: openai.get("/v1/models").status_code,
        "MCP": lambda: openai.post("/mcp/", begin).status_code,
        "MCP session": lambda: bearer.post("/mcp/", begin, headers={"Mcp-Session-Id": session}).status_code,
        "refresh": lambda: APIClient().post("/api/v1/auth/refresh/", {"refresh": pair.refresh}).status_code,
        "login": lambda: APIClient().post("/api/v1/auth/login/", login).status_code,
        "link": lambda: APIClient().post("/api/v1/auth/reset-password/confirm/", reset).status_code,
    }


def opened(doors: Doors) -> list[str]:
    return [name for name, knock in doors.items() if knock() < 400]


def test_all_doors_are_open_before(doors: Doors) -> None:
    assert opened(doors) == [
        "access", "browser", "api key", "OpenAI", "MCP", "MCP session", "refresh", "login", "link"
    ]  # fmt: skip


def test_suspending_closes_all(doors: Doors, owner: User) -> None:
    services.suspend(user=owner)
    assert opened(doors) == []


def test_suspending_by_hand_in_the_database_closes_all(doors: Doors) -> None:
    User.objects.update(is_active=False)
    assert opened(doors) == []


def test_activating_brings_back_the_password_only(doors: Doors, owner: User) -> None:
    services.suspend(user=owner)
    services.activate(user=owner)
    assert opened(doors) == ["login", "link"]


def test_deleting_closes_all(doors: Doors, owner: User) -> None:
    services.delete_account(user=owner)
    assert opened(doors) == []


def test_changing_the_password_elsewhere_closes_all(doors: Doors, owner: User) -> None:
    services.change_password(user=owner, current=PASSWORD, new=NEW, keep=None)
    assert opened(doors) == []


def test_resetting_the_password_closes_all(doors: Doors, owner: User) -> None:
    services.reset_password(token=links.make(owner, links.RESET_PASSWORD), password=NEW)
    assert opened(doors) == []


def test_logging_out_everywhere_ends_every_session(doors: Doors, owner: User) -> None:
    services.log_out_everywhere(user=owner)
    assert opened(doors) == ["api key", "OpenAI", "MCP", "login", "link"]
