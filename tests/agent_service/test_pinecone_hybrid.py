"""Beside Pinecone the lexical index stands in PostgreSQL where there is one; without one, vectors alone are asked."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from agent_service.main import create_app
from agent_service.settings import Settings
from tests.agent_service.calls import Caller, new_caller, storing
from tests.agent_service.conftest import VENDOR_DIMENSION
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.pinecone import PineconeEmulator
from tests.serving import PLAIN, serve

EMBEDDING = f"google:gemini-embedding-001:{VENDOR_DIMENSION}"
TEXTS = ["The dome is 18 metres wide.", "Tickets cost 12 euros.", "The cat sleeps all day."]

StartWith = Callable[[str], Caller]


@pytest.fixture
def start_with(
    vendor_settings: Callable[..., Settings], gemini: GeminiEmulator, pinecone: PineconeEmulator
) -> Iterator[StartWith]:
    """An agent on both vendors with this database."""
    running = []

    def start(url: str) -> Caller:
        settings = vendor_settings(
            google_embedding_dimension=VENDOR_DIMENSION, agent_database_url=url, database_url="", vector_seconds=3.0
        )
        server = serve(create_app(settings))
        running.append(server)
        return new_caller(server.__enter__())

    yield start
    for server in running:
        server.__exit__(None, None, None)


def checks(caller: Caller) -> dict[str, str]:
    found: dict[str, str] = httpx.get(f"{caller.url}/readyz", verify=PLAIN).json()["checks"]
    return found


def asked(caller: Caller) -> tuple[list[str], float]:
    request = {"embedding": EMBEDDING, "query": "How much do tickets cost?", "limit": 3}
    answer = caller.post("/retrieve", request).json()
    return [hit["chunk"] for hit in answer["hits"]], answer["confidence"]


def test_with_a_database_words_and_vectors_are_fused(start_with: StartWith, fresh_database: str) -> None:
    caller = start_with(fresh_database)
    request = storing(*TEXTS, embedding=EMBEDDING)
    assert caller.post("/embed_and_store", request).json()["stored"] == 3
    hits, confidence = asked(caller)
    assert hits[0] == request["chunks"][1]["id"]
    assert 0.3 < confidence < 1
    assert checks(caller)["lexical_index"] == "ok"
    assert {one["complete"] for one in caller.post("/vectors/list", {}).json()["vectors"]} == {True}
    assert caller.post("/vectors/delete", {}).json() == {"deleted": 3, "remaining": 0}


def test_without_one_the_vectors_alone_are_searched_and_readyz_says_so(start_with: StartWith) -> None:
    caller = start_with("")
    request = storing(*TEXTS, embedding=EMBEDDING)
    assert caller.post("/embed_and_store", request).json()["stored"] == 3
    hits, confidence = asked(caller)
    assert (hits[0], confidence) == (request["chunks"][1]["id"], 1)
    assert checks(caller)["lexical_index"] == "off: it needs DATABASE_URL"
    assert httpx.get(f"{caller.url}/readyz", verify=PLAIN).status_code == 200
    assert {one["complete"] for one in caller.post("/vectors/list", {}).json()["vectors"]} == {True}
