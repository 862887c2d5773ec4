"""R3: however often and however parallel a request is sent under one key, it has one effect and one answer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from backend.bots.models import Bot
from backend.conversations.models import Answer, Conversation, Message
from backend.credits import services as ledger
from backend.credits.models import Entry
from backend.documents.models import Document
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge
from tests.backend.conversations.scripted_agent import ScriptedAgent

PARALLEL = 12
ClientOf = Callable[[User], httpx.Client]
Send = Callable[[], httpx.Response]


def effects(send: Send) -> set[tuple[int, str]]:
    """Status and id (or error code) of every answer to one request, sent in parallel and once more afterwards."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda _: send(), range(PARALLEL)))
    return {seen(answer) for answer in [*answers, send()]}


def seen(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    return answer.status_code, str(body.get("id") or body["code"])


@pytest.fixture
def client(owner: User, client_of: ClientOf) -> httpx.Client:
    return client_of(owner)


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.long)])
def test_a_question_is_answered_and_paid_once(
    rounds: int, client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    for round_ in range(rounds):
        before, chats = ledger.account_for(owner).available, len(agent.chats)

        def ask(key: str = f"question {round_}") -> httpx.Response:
            url = f"conversations/{conversation.pk}/messages/"
            return client.post(url, json={"text": "How often?"}, headers={"idempotency-key": key})

        answers = effects(ask)
        newest = Answer.objects.order_by("-pk")[0]
        assert answers <= {(201, str(newest.pk)), (409, "in_progress")}
        assert (201, str(newest.pk)) in answers
        assert (len(agent.chats) - chats, before - ledger.account_for(owner).available) == (1, 1)
    assert (Message.objects.count(), Answer.objects.count()) == (rounds, rounds)
    assert Entry.objects.filter(kind="settle").count() == rounds


def test_a_bot_is_made_once(client: httpx.Client, owner: User) -> None:
    answers = effects(lambda: client.post("bots/", json={"name": "Once"}, headers={"idempotency-key": "bot"}))
    (bot,) = Bot.objects.filter(owner=owner)
    assert answers <= {(201, str(bot.pk)), (409, "in_progress")}


def test_a_file_is_stored_once(client: httpx.Client, knowledge: Knowledge) -> None:
    def upload() -> httpx.Response:
        files = {"file": ("once.txt", b"Only once, please.")}
        return client.post(f"bots/{knowledge.bot.pk}/documents/", files=files, headers={"idempotency-key": "file"})

    answers = effects(upload)
    document = Document.objects.get(filename="once.txt")
    assert answers <= {(201, str(document.pk)), (409, "in_progress")}
    assert (201, str(document.pk)) in answers


def test_the_same_key_with_another_file_is_refused(client: httpx.Client, knowledge: Knowledge) -> None:
    def upload(content: bytes) -> httpx.Response:
        files = {"file": ("once.txt", content)}
        return client.post(f"bots/{knowledge.bot.pk}/documents/", files=files, headers={"idempotency-key": "file"})

    assert upload(b"One.").status_code == 201
    assert seen(upload(b"Another.")) == (422, "idempotency_key_reused")
    assert Document.objects.filter(filename="once.txt").count() == 1
