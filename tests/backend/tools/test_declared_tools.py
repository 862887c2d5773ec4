"""Declared tools over the API: their owner's alone, and their secrets nobody's."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.tools.models import Tool
from backend.users.models import User
from tests.backend.tools.conftest import Server, weather

AsUser = Callable[[User], APIClient]

pytestmark = pytest.mark.django_db
SECRET = "sesame-5521"


@pytest.fixture
def tool(as_user: AsUser, owner: User, bot: Bot, server: Server) -> dict[str, Any]:
    body = weather(server.url, headers={"X-Key": SECRET})
    response = as_user(owner).post(f"/api/v1/bots/{bot.pk}/tools/", body, format="json")
    assert response.status_code == 201, response.json()
    made: dict[str, Any] = response.json()
    return made


def test_a_secret_is_sealed_and_never_shown(as_user: AsUser, owner: User, tool: dict[str, Any]) -> None:
    shown = as_user(owner).get(f"/api/v1/tools/{tool['id']}/").json()
    assert shown["header_names"] == ["X-Key"]
    assert SECRET not in str(shown) + str(tool) + Tool.objects.get().headers


def test_a_trial_shows_what_a_model_would_get(as_user: AsUser, owner: User, tool: dict[str, Any]) -> None:
    response = as_user(owner).post(f"/api/v1/tools/{tool['id']}/try/", {"arguments": {"city": "Bern"}}, format="json")
    assert response.json()["content"] == 'Status 200\n{"temperature": 21}'


@pytest.mark.parametrize(
    ("arguments", "parameter", "rule"),
    [
        ({"city": 1}, "city", "type"),
        ({}, "city", "required"),
        ({"city": "Bern", "when": "now"}, "when", "additionalProperties"),
    ],
)
def test_a_trial_with_wrong_arguments_names_the_parameter(
    as_user: AsUser, owner: User, tool: dict[str, Any], arguments: dict[str, Any], parameter: str, rule: str
) -> None:
    response = as_user(owner).post(f"/api/v1/tools/{tool['id']}/try/", {"arguments": arguments}, format="json")
    assert (response.status_code, response.json()["code"]) == (422, "arguments_invalid")
    assert response.json()["details"] == {"parameter": parameter, "rule": rule}


@pytest.mark.parametrize("name", ["weather", "calculator"])
def test_a_name_is_taken_once(as_user: AsUser, owner: User, bot: Bot, server: Server, tool: Any, name: str) -> None:
    body = weather(server.url, name=name)
    response = as_user(owner).post(f"/api/v1/bots/{bot.pk}/tools/", body, format="json")
    assert (response.status_code, response.json()["code"]) == (409, "tool_name_taken")


def test_a_change_keeps_what_is_left_out(as_user: AsUser, owner: User, tool: dict[str, Any]) -> None:
    changed = as_user(owner).patch(f"/api/v1/tools/{tool['id']}/", {"enabled": False}, format="json").json()
    assert changed == {**tool, "enabled": False, "updated_at": changed["updated_at"]}


def test_the_strangers_and_a_made_up_one_are_alike(as_user: AsUser, stranger: User, tool: dict[str, Any]) -> None:
    client = as_user(stranger)
    for path in ("", "try/", "offer/", "approve/"):
        send = client.post if path else client.get
        foreign = send(f"/api/v1/tools/{tool['id']}/{path}", {}, format="json")
        random = send(f"/api/v1/tools/00000000-0000-7000-8000-000000000000/{path}", {}, format="json")
        assert (foreign.status_code, random.status_code) == (404, 404)


def test_a_deleted_tool_is_gone(as_user: AsUser, owner: User, tool: dict[str, Any]) -> None:
    assert as_user(owner).delete(f"/api/v1/tools/{tool['id']}/").status_code == 204
    assert not Tool.objects.exists()
