"""Both emulators on real sockets, and a plain HTTP client for each."""

from collections.abc import Iterator

import httpx
import pytest

from tests.emulators.gemini import GeminiEmulator
from tests.emulators.pinecone import PineconeEmulator
from tests.emulators.server import Running
from tests.serving import PLAIN

KEY = "the-key"


@pytest.fixture(scope="module")
def gemini_server() -> Iterator[Running[GeminiEmulator]]:
    with Running(GeminiEmulator(KEY)) as server:
        yield server


@pytest.fixture(scope="module")
def pinecone_server() -> Iterator[Running[PineconeEmulator]]:
    with Running(PineconeEmulator(KEY, dimension=3)) as server:
        yield server


@pytest.fixture
def gemini(gemini_server: Running[GeminiEmulator]) -> GeminiEmulator:
    gemini_server.emulator.reset()
    return gemini_server.emulator


@pytest.fixture
def pinecone(pinecone_server: Running[PineconeEmulator]) -> PineconeEmulator:
    pinecone_server.emulator.reset()
    return pinecone_server.emulator


@pytest.fixture
def google(gemini_server: Running[GeminiEmulator], gemini: GeminiEmulator) -> Iterator[httpx.Client]:
    headers = {"x-goog-api-key": KEY}
    with httpx.Client(base_url=gemini_server.url, headers=headers, timeout=2, verify=PLAIN) as client:
        yield client


@pytest.fixture
def index(pinecone_server: Running[PineconeEmulator], pinecone: PineconeEmulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=pinecone_server.url, headers={"api-key": KEY}, timeout=2, verify=PLAIN) as client:
        yield client
