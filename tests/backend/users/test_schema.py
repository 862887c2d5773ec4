import io
import json
from typing import Any

import pytest
from django.core.management import call_command

OPEN = {
    "register",
    "verify-email",
    "resend-verification",
    "login",
    "refresh",
    "reset-password",
    "reset-password/confirm",
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    out = io.StringIO()
    call_command("spectacular", "--validate", "--format", "openapi-json", stdout=out)
    made: dict[str, Any] = json.loads(out.getvalue())
    return made


def test_names_both_ways_to_sign_in(schema: dict[str, Any]) -> None:
    schemes = schema["components"]["securitySchemes"]
    assert schemes["accessToken"]["scheme"] == "bearer"
    assert schemes["apiKey"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}


def test_says_which_doors_are_open(schema: dict[str, Any]) -> None:
    prefix = "/api/v1/auth/"
    paths = {path.removeprefix(prefix).rstrip("/"): each for path, each in schema["paths"].items() if prefix in path}
    guarded = {
        path
        for path, each in paths.items()
        for operation in each.values()
        if {"accessToken": []} in operation.get("security", [])
    }
    assert set(paths) - guarded == OPEN


def test_passwords_and_hashes_are_never_read_back(schema: dict[str, Any]) -> None:
    for name in ("User", "Session", "ApiKey"):
        shown = set(schema["components"]["schemas"][f"{name}Output"]["properties"])
        assert not shown & {"password", "hash", "is_staff", "is_superuser", "login_epoch"}


def test_answers_are_described(schema: dict[str, Any]) -> None:
    login = schema["paths"]["/api/v1/auth/login/"]["post"]["responses"]
    assert set(login) == {"200", "400", "401", "403", "429"}
