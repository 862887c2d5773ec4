from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from backend.users import api_keys
from backend.users.models import User
from tests.backend.conversations.conftest import agent, client_of, conversation, knowledge, web
from tests.serving import PLAIN

__all__ = ["agent", "client_of", "conversation", "knowledge", "web"]

Ask = Callable[..., httpx.Response]


def key_of(user: User) -> str:
    return api_keys.create(user=user, name="program")[1]


@pytest.fixture
def openai_of(web: str) -> Iterator[Callable[[User], openai.OpenAI]]:
    """OpenAI's own package with an API key of the user's. It does not try again: each call is one."""
    clients: list[openai.OpenAI] = []

    def make(user: User) -> openai.OpenAI:
        clients.append(openai.OpenAI(base_url=f"{web}/v1", api_key=key_of(user), max_retries=0))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def post(web: str, owner: User) -> Iterator[Ask]:
    """A bare POST below /v1 with the owner's key, for what no client would send."""
    headers = {"Authorization": f"Bearer {key_of(owner)}"}
    with httpx.Client(base_url=f"{web}/v1/", headers=headers, verify=PLAIN) as client:

        def ask(path: str = "chat/completions", **body: Any) -> httpx.Response:
            return client.post(path, json=body, timeout=20)

        yield ask


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
