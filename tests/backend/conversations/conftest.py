import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from backend import agent_client
from backend.bots.catalogue import catalogue
from backend.bots.models import Bot
from backend.bots.services import create_bot
from backend.config.asgi import application
from backend.conversations.models import Conversation
from backend.conversations.services import create_conversation
from backend.credits import services as ledger
from backend.credits.pricing import Rates
from backend.documents.models import Chunk, Document, DocumentVersion, Kind, Page, State, VersionState, chunk_id
from backend.users import services as users
from backend.users.models import User
from tests.backend.conversations.scripted_agent import ScriptedAgent, hit
from tests.serving import PLAIN, serve

PAGE = "The moon is a rock. It orbits the earth every 27 days. Nobody lives there."
QUOTE = "It orbits the earth every 27 days."
SERVICE_KEY = "a-service-key-of-more-than-thirty-two-characters"


@pytest.fixture
def agent(settings: Settings) -> Iterator[ScriptedAgent]:
    scripted = ScriptedAgent()
    scripted.answer("Every 27 days", " [1].")
    with serve(scripted.app()) as url:
        settings.AGENT_URL = url
        settings.SERVICE_KEY = SERVICE_KEY
        agent_client.breaker.succeeded()
        catalogue.forget()
        yield scripted
    catalogue.forget()
    agent_client.breaker.succeeded()


@dataclass(frozen=True)
class Knowledge:
    """A bot with one ready document of one page and one passage, which is that page."""

    bot: Bot
    document: Document
    version: DocumentVersion
    chunk: Chunk

    def citation(self, marker: int = 1, quote: str = QUOTE) -> dict[str, Any]:
        start = PAGE.find(quote)
        return {
            "marker": marker,
            "passage": str(self.chunk.pk),
            "start": max(start, 0),
            "end": max(start, 0) + len(quote),
            "quote": quote,
            "score": 0.8,
        }


def know(bot: Bot, text: str = PAGE) -> Knowledge:
    document = Document.objects.create(
        bot=bot, kind=Kind.TEXT, title="Moon", format="txt", media_type="text/plain", size=1, sha256="0" * 64, file="x"
    )
    version = DocumentVersion.objects.create(
        document=document,
        number=1,
        state=VersionState.READY,
        sha256="0" * 64,
        embedding="local:wordllama:256",
        chunk_chars=1000,
        chunk_overlap=150,
        chunker_version=1,
        normaliser_version=1,
        page_count=1,
        char_count=len(text),
        chunk_count=1,
    )
    Page.objects.create(version=version, number=1, label="Page 1", text=text)
    chunk = Chunk.objects.create(
        id=chunk_id(version.pk, 0),
        version=version,
        document=document,
        bot=bot,
        position=0,
        page=1,
        start=0,
        end=len(text),
        text=text,
        embedded=True,
    )
    document.state, document.version = State.READY, version
    document.save(update_fields=["state", "version"])
    return Knowledge(bot, document, version, chunk)


@pytest.fixture
def knowledge(owner: User, agent: ScriptedAgent) -> Knowledge:
    known = know(create_bot(owner=owner, name="Moon bot"))
    agent.hits = [hit(known.chunk.pk, known.document.pk, known.version.pk)]
    agent.answer("Every 27 days", " [1].", citations=[known.citation()])
    return known


@pytest.fixture
def conversation(owner: User, knowledge: Knowledge) -> Conversation:
    return create_conversation(user=owner, bot_id=knowledge.bot.pk)


@pytest.fixture
def web(transactional_db: None, settings: Settings) -> Iterator[str]:
    """The real web process over HTTP: turns run on its event loop as in production."""
    settings.CHAT_LIMIT_PER_MINUTE = 0
    with serve(application) as url:
        yield url


@pytest.fixture
def client_of(web: str) -> Iterator[Callable[[User], httpx.Client]]:
    clients: list[httpx.Client] = []

    def make(user: User) -> httpx.Client:
        pair = users.open_session(user=user, user_agent="tests")
        headers = {"Authorization": f"Bearer {pair.access}"}
        client = httpx.Client(base_url=f"{web}/api/v1/", headers=headers, timeout=20, trust_env=False, verify=PLAIN)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(owner: User, client_of: Callable[[User], httpx.Client]) -> httpx.Client:
    return client_of(owner)


@pytest.fixture
def by_token(owner: User) -> None:
    """A price that tells a large hold from a small one, and enough credits for either."""
    ledger.grant(account=ledger.account_for(owner), amount=10_000, key="by token", reason="test")
    ledger.set_price(model="local:extractive", rates=Rates(0, 10, 10))


def ask(client: httpx.Client, conversation: Conversation, text: str = "How often?", **more: Any) -> httpx.Response:
    """`more` goes into the body, but for `headers`."""
    headers = more.pop("headers", {})
    return client.post(f"conversations/{conversation.pk}/messages/", json={"text": text, **more}, headers=headers)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
