import logging
from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from backend.core import request_id
from backend.users.models import User


def test_a_well_formed_id_is_taken_over() -> None:
    response = APIClient().get("/health", headers={"x-request-id": "abc-12345"})
    assert response.headers["X-Request-ID"] == "abc-12345"


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "line\nbreak", "späße-12345", "a b c d e f"])
def test_anything_else_is_replaced(given: str) -> None:
    response = APIClient().get("/health", headers={"x-request-id": given})
    assert response.headers["X-Request-ID"] != given
    assert len(response.headers["X-Request-ID"]) == 36


def test_an_error_names_its_request(as_user: Callable[[User], APIClient], owner: User) -> None:
    response = as_user(owner).get("/api/v1/bots/019aa000-0000-7000-8000-000000000000/")
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


def test_log_lines_carry_it() -> None:
    request_id.current.set("abc-12345")
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "hello", None, None)
    assert request_id.RequestIdFilter().filter(record)
    assert record.request_id == "abc-12345"  # type: ignore[attr-defined]
