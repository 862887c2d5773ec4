from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.websites import Website, website


@pytest.fixture
def site(settings: Settings) -> Iterator[Website]:
    with website() as site:
        settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.1/32"]
        settings.FETCH_PORTS = [site.port]
        yield site
