import warnings

import httpx
import pytest
from pytest_django import Settings

from backend.config.asgi import application
from tests.serving import serve


@pytest.mark.django_db(transaction=True)
def test_a_file_is_streamed_block_by_block(settings: Settings) -> None:
    settings.WHITENOISE_USE_FINDERS = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with serve(application) as url:
            response = httpx.get(f"{url}/static/chatsphere/page.css", trust_env=False)
    assert response.status_code == 200
    assert len(response.content) == int(response.headers["content-length"])
    assert b"--accent" in response.content
