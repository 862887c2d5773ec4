from collections.abc import Iterator

import pytest

from tests.stack import Person, Stack, running_stack


@pytest.fixture(scope="session")
def keyless() -> Iterator[Stack]:
    """The whole product as a first `make run` starts it; only the grant is larger, for many questions."""
    with running_stack(SIGNUP_GRANT="10000") as stack:
        yield stack


@pytest.fixture(scope="module")
def person(keyless: Stack, request: pytest.FixtureRequest) -> Person:
    return keyless.person(f"{request.module.__name__.rsplit('.', 1)[-1]}@example.com")
