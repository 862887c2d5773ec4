"""An agent over a database of its own: keyless as it runs without any key, or with models that do as they are told."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from agent_service.main import create_app
from agent_service.providers.langchain_chat import LangChainChat
from agent_service.settings import Settings
from tests.agent_service.calls import SERVICE_KEY, Caller, new_caller
from tests.agent_service.doubles import ScriptedChat, ScriptedEmbedder, catalogue_of
from tests.agent_service.vendors import VENDOR_KEY, VENDORS, Vendor
from tests.emulators.emulator import Emulator
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.pinecone import PineconeEmulator
from tests.emulators.server import Running
from tests.serving import serve

StartAgent = Callable[..., Caller]

VENDOR_DIMENSION = 64


def _database() -> Iterator[str]:
    server = make_conninfo(os.environ["DATABASE_URL"], dbname="postgres")
    name = f"agent_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield make_conninfo(server, dbname=name)
        connection.execute(f'drop database "{name}" with (force)'.encode())


@pytest.fixture(scope="session")
def agent_database_url() -> Iterator[str]:
    yield from _database()


@pytest.fixture(scope="session")
def agent_settings(agent_database_url: str) -> Settings:
    """Short waits; no key of any vendor, whatever the environment holds."""
    return Settings(
        _env_file=None,
        service_key=SecretStr(SERVICE_KEY),
        agent_database_url=SecretStr(agent_database_url),
        google_api_key=SecretStr(""),
        pinecone_api_key=SecretStr(""),
        retry_delay_seconds=0.01,
        vector_pool_size=4,
    )


@pytest.fixture(scope="session")
def keyless_url(agent_settings: Settings) -> Iterator[str]:
    with serve(create_app(agent_settings)) as url:
        yield url


@pytest.fixture
def keyless(keyless_url: str) -> Caller:
    return new_caller(keyless_url)


@pytest.fixture
def start_agent(agent_settings: Settings) -> Iterator[StartAgent]:
    """Starts an agent with these models, and settings other than the usual ones."""
    with ExitStack() as stack:

        def start(chat: ScriptedChat | None = None, embedder: ScriptedEmbedder | None = None, **changes: Any) -> Caller:
            settings = agent_settings.model_copy(update=changes)
            opened = catalogue_of(chat or ScriptedChat(), embedder or ScriptedEmbedder())
            return new_caller(stack.enter_context(serve(create_app(settings, opened))))

        yield start


@pytest.fixture(scope="session")
def gemini_server() -> Iterator[Running[GeminiEmulator]]:
    with Running(GeminiEmulator(VENDOR_KEY)) as server:
        yield server


@pytest.fixture
def gemini(gemini_server: Running[GeminiEmulator]) -> GeminiEmulator:
    """The emulator itself, as if nobody had called it yet."""
    gemini_server.emulator.reset()
    return gemini_server.emulator


@pytest.fixture(scope="session")
def vendor_servers() -> Iterator[dict[str, Running[Emulator]]]:
    """An emulator of each vendor of chat models, by its name."""
    with ExitStack() as stack:
        yield {vendor.name: stack.enter_context(Running(vendor.emulator())) for vendor in VENDORS}


@pytest.fixture
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """One of VENDORS, which the test's parameter names."""
    named: Vendor = request.param
    return named


@pytest.fixture
def running(vendor: Vendor, vendor_servers: dict[str, Running[Emulator]]) -> Running[Emulator]:
    return vendor_servers[vendor.name]


@pytest.fixture
def emulator(running: Running[Emulator]) -> Emulator:
    """The vendor's, as if nobody had called it yet."""
    running.emulator.reset()
    return running.emulator


@pytest.fixture
async def chat(vendor: Vendor, running: Running[Emulator], emulator: Emulator) -> AsyncIterator[LangChainChat]:
    chat = vendor.chat(running.url)
    yield chat
    await chat.aclose()


@pytest.fixture(scope="session")
def pinecone_server() -> Iterator[Running[PineconeEmulator]]:
    with Running(PineconeEmulator(VENDOR_KEY, dimension=VENDOR_DIMENSION)) as server:
        yield server


@pytest.fixture
def pinecone(pinecone_server: Running[PineconeEmulator]) -> PineconeEmulator:
    """The emulator itself, empty."""
    pinecone_server.emulator.reset()
    return pinecone_server.emulator


@pytest.fixture
def vendor_settings(
    gemini_server: Running[GeminiEmulator], pinecone_server: Running[PineconeEmulator]
) -> Callable[..., Settings]:
    """Settings that point both vendors at their emulators, with short waits."""

    def build(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "service_key": SERVICE_KEY,
            "google_api_key": VENDOR_KEY,
            "google_base_url": gemini_server.url,
            "pinecone_api_key": VENDOR_KEY,
            "pinecone_control_url": pinecone_server.url,
            "model_connect_seconds": 1.0,
            "model_first_byte_seconds": 0.5,
            "model_idle_seconds": 0.5,
            "embedding_store_seconds": 0.5,
            "vector_seconds": 1.0,
        }
        return Settings(_env_file=None, **(values | changes))

    return build


@pytest.fixture
def fresh_database() -> Iterator[str]:
    yield from _database()
