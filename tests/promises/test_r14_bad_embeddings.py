"""R14: an embedder that answers nonsense brings no vector in and no document to ready; with the real agent."""

# ruff: noqa: F401, F811 - pytest finds fixtures by their names in the module

import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from pytest_django import Settings

from agent_service.main import create_app
from agent_service.ports import Vector
from agent_service.providers import registry
from agent_service.settings import Settings as AgentSettings
from backend.bots.models import Bot
from backend.documents import services, vectors
from backend.documents.models import Chunk, Document, State
from backend.documents.reconciling import reconcile
from tests.agent_service.calls import SERVICE_KEY
from tests.agent_service.doubles import ScriptedChat, ScriptedEmbedder, catalogue_of
from tests.backend.documents.fixtures import (
    RunJobs,
    bot,
    fresh_process,
    run_jobs,
    upload,
)
from tests.backend.documents.samples import real_pdf
from tests.serving import serve

Upload = Callable[..., Document]
Spoil = Callable[[list[Vector]], list[Vector]]
StartAgent = Callable[..., ScriptedEmbedder]

LONG = "".join(f"Sentence {number} of a long text. " for number in range(200)).encode()
SPOILS: dict[str, Spoil] = {
    "another dimension": lambda found: [vector[:-1] for vector in found],
    "not a number": lambda found: [*found[:-1], [math.nan] * len(found[0])],
    "infinite": lambda found: [*found[:-1], [math.inf] * len(found[0])],
    "all zero": lambda found: [*found[:-1], [0.0] * len(found[0])],
    "one too few": lambda found: found[:-1],
    "one too many": lambda found: [*found, found[0]],
    "none at all": lambda _: [],
}


@pytest.fixture
def agent_settings() -> Iterator[AgentSettings]:
    """Of an agent with a database of its own, and no key of any vendor."""
    server = make_conninfo(os.environ["DATABASE_URL"], dbname="postgres")
    name = f"agent_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield AgentSettings(
            _env_file=None,
            service_key=SecretStr(SERVICE_KEY),
            agent_database_url=SecretStr(make_conninfo(server, dbname=name)),
            google_api_key=SecretStr(""),
            pinecone_api_key=SecretStr(""),
            retry_delay_seconds=0.01,
        )
        connection.execute(f'drop database "{name}" with (force)'.encode())


@pytest.fixture
def start_agent(agent_settings: AgentSettings, settings: Settings, fresh_process: None) -> Iterator[StartAgent]:
    settings.SERVICE_KEY = SERVICE_KEY
    with ExitStack() as stack:

        def start(spoil: Spoil | None = None) -> ScriptedEmbedder:
            embedder = ScriptedEmbedder(spoil=spoil) if spoil else ScriptedEmbedder()
            opened = catalogue_of(ScriptedChat(), embedder) if spoil else registry.opened
            settings.AGENT_URL = stack.enter_context(serve(create_app(agent_settings, opened)))
            return embedder

        yield start


@pytest.mark.parametrize("name", SPOILS)
def test_a_bad_answer_stores_nothing_and_the_document_says_so(
    start_agent: StartAgent,
    upload: Upload,
    run_jobs: RunJobs,
    bot: Bot,
    settings: Settings,
    name: str,
) -> None:
    settings.INGEST_TRIES = 1
    embedder = start_agent(SPOILS[name])
    document = upload(LONG)
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.version) == (State.FAILED, None)
    assert document.error_code
    assert vectors.stored_in(bot.index) == {}
    embedder.spoil = lambda found: found
    services.retry(document=document)
    run_jobs()
    document.refresh_from_db()
    assert document.state == State.READY
    assert vectors.stored_in(bot.index).keys() == set(Chunk.objects.values_list("pk", flat=True))


def test_a_real_filing_goes_through_the_keyless_agent_and_out_again(
    start_agent: StartAgent,
    upload: Upload,
    run_jobs: RunJobs,
    bot: Bot,
) -> None:
    start_agent()
    document = upload(real_pdf("AMCOR_2023Q4_EARNINGS.pdf").read_bytes(), "amcor.pdf")
    run_jobs()
    document.refresh_from_db()
    assert (document.state, document.pages_done) == (State.READY, 14)
    assert vectors.stored_in(bot.index).keys() == set(Chunk.objects.values_list("pk", flat=True))
    assert list(reconcile(repair=False)) == []
    services.reindex(document=document)
    run_jobs()
    run_jobs()
    assert vectors.stored_in(bot.index).keys() == set(Chunk.objects.values_list("pk", flat=True))
    services.delete_document(document=document)
    run_jobs()
    assert vectors.stored_in(bot.index) == {}
    assert not Document.objects.exists()
