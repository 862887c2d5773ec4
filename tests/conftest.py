"""The fixed cast of every tenant test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as limits
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient
from whitenoise.middleware import WhiteNoiseMiddleware

from backend.bots.catalogue import catalogue
from backend.credits import price_book
from backend.users import services
from backend.users.models import User
from tests.emptying import empty_by_deleting

# A busy machine is no reason to fail: how long an example takes says nothing about what it shows.
limits.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
limits.load_profile("any-machine")

TESTS = Path(__file__).parent
LONG_FIRST = ("promises", "e2e", "launcher")
"""Folders whose files take longest: what runs beside them comes to its end with short ones, and together."""

PASSWORD = "correct horse battery"
_PASSWORD_HASH = ""  # hashed once
# Argon2 is slow on purpose, a third of a second for each password: a test that measures has `slow_hashing`.
QUICK_HASHING = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
SLOW_HASHING = {name: getattr(Argon2PasswordHasher, name) for name in QUICK_HASHING}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in LONG_FIRST)


@pytest.fixture(autouse=True)
def _quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUICK_HASHING.items():
        monkeypatch.setattr(Argon2PasswordHasher, name, value)


@pytest.fixture(autouse=True, scope="session")
def _static_files_are_found_once() -> Iterator[None]:
    """Each client makes the middleware anew, which would look through the folders of all apps."""
    find = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def find_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


@pytest.fixture
def slow_hashing(monkeypatch: pytest.MonkeyPatch, owner: User) -> None:
    """As it is in production, the owner's own password too."""
    for name, value in SLOW_HASHING.items():
        monkeypatch.setattr(Argon2PasswordHasher, name, value)
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])


# The server may still be busy for a worker that a test has killed, and a database that is in use cannot be dropped.
_END_THE_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def _cast(name: str, **fields: object) -> User:
    global _PASSWORD_HASH
    user = User(email=f"{name}@example.com", name=name.title(), password=_PASSWORD_HASH, **fields)
    if not _PASSWORD_HASH:
        user.set_password(PASSWORD)
        _PASSWORD_HASH = user.password
    user.save()
    return user


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        empty_by_deleting()
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(_END_THE_OTHERS)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """A price of the test before may be gone from the database, and so may the agent that offered its models."""
    price_book.forget_prices()
    catalogue.forget()


@pytest.fixture
def owner(db: None) -> User:
    return _cast("owner")


@pytest.fixture
def teammate(db: None) -> User:
    return _cast("teammate")


@pytest.fixture
def stranger(db: None) -> User:
    return _cast("stranger")


@pytest.fixture
def as_user() -> Callable[[User], APIClient]:
    """A client that carries a real access token of a new session of the user's."""

    def client_of(user: User) -> APIClient:
        pair = services.open_session(user=user, user_agent="tests")
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
        return client

    return client_of
