from collections.abc import Iterator

import pytest
from pytest_django import Settings

from backend.core import sealing


@pytest.fixture(autouse=True)
def _keys(settings: Settings) -> Iterator[None]:
    settings.SEALING_KEYS = ["the key of today"]
    sealing._keys.cache_clear()
    yield
    sealing._keys.cache_clear()


def test_what_is_sealed_shows_nothing_and_opens_again() -> None:
    sealed = sealing.seal("a session string")
    assert "session" not in sealed
    assert sealing.unseal(sealed) == "a session string"


def test_a_new_key_before_the_old_one_still_opens_what_the_old_one_sealed(settings: Settings) -> None:
    sealed = sealing.seal("secret")
    settings.SEALING_KEYS = ["the key of tomorrow", "the key of today"]
    sealing._keys.cache_clear()
    assert sealing.unseal(sealed) == "secret"


def test_without_its_key_a_seal_stays_shut(settings: Settings) -> None:
    sealed = sealing.seal("secret")
    settings.SEALING_KEYS = ["another key"]
    sealing._keys.cache_clear()
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(sealed)
