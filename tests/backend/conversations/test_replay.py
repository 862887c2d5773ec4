"""An answer given again from the very passages it was given from."""

from http import HTTPStatus
from typing import Any

import httpx
import pytest

from backend.conversations.models import Answer, Conversation
from backend.credits import services as ledger
from backend.credits.models import Entry
from backend.documents.models import Document, DocumentVersion, Page, State, VersionState
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, Knowledge, ask
from tests.backend.conversations.scripted_agent import ScriptedAgent

SHA = "ab" * 32


@pytest.fixture
def first(client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent) -> Any:
    agent.answer("Every 27 days", " [1].", citations=[knowledge.citation()], prompt_sha256=SHA)
    return ask(client, conversation).json()


def replay(client: httpx.Client, answer: dict[str, Any], **headers: str) -> httpx.Response:
    return client.post(f"answers/{answer['id']}/replay/", headers=headers)


def test_a_replay_gives_the_model_the_same_and_searches_nothing(
    client: httpx.Client, first: Any, agent: ScriptedAgent
) -> None:
    searched = len(agent.retrievals)
    again = replay(client, first)
    assert (again.status_code, again.json()["replay_of"]) == (HTTPStatus.CREATED, first["id"])
    assert agent.chats[0] == agent.chats[1]
    assert len(agent.retrievals) == searched


def test_a_replay_uses_the_version_it_was_given_from(
    client: httpx.Client, first: Any, agent: ScriptedAgent, knowledge: Knowledge
) -> None:
    newer = DocumentVersion.objects.get(pk=knowledge.version.pk)
    newer.pk, newer.number = None, 2
    newer.save(force_insert=True)
    Page.objects.create(version=newer, number=1, label="Page 1", text="The moon is cheese.")
    DocumentVersion.objects.filter(pk=knowledge.version.pk).update(state=VersionState.RETIRED)
    Document.objects.update(version=newer)
    knowledge.chunk.delete()
    assert replay(client, first).status_code == HTTPStatus.CREATED
    assert [passage["text"] for passage in agent.chats[-1]["passages"]] == [PAGE]


def test_a_replay_keeps_the_limits_of_the_first(
    client: httpx.Client, knowledge: Knowledge, agent: ScriptedAgent, owner: User
) -> None:
    limits: dict[str, Any] = {"max_tokens": 7, "stop": ["27"]}
    asked = {"model": str(knowledge.bot.pk), "messages": [{"role": "user", "content": "How often?"}]}
    first = client.post(str(client.base_url.join("/v1/chat/completions")), json=asked | limits).json()
    assert replay(client, first["chatsphere"]).status_code == HTTPStatus.CREATED
    assert [(chat["max_output_tokens"], chat["stop"]) for chat in agent.chats] == [(7, ["27"])] * 2


def test_a_replay_says_whether_the_prompt_was_the_same(
    client: httpx.Client, first: Any, agent: ScriptedAgent, knowledge: Knowledge
) -> None:
    assert replay(client, first).json()["same_prompt"] is True
    agent.answer("Else.", prompt_sha256="cd" * 32)
    again = replay(client, first).json()
    assert again["same_prompt"] is False
    assert client.get(f"answers/{again['id']}/receipt/").json()["same_prompt"] is False


def test_a_replay_is_paid_as_any_answer(client: httpx.Client, first: Any, owner: User) -> None:
    before = ledger.account_for(owner).available
    assert replay(client, first).json()["usage"]["charged"] == 1
    assert (ledger.account_for(owner).available, ledger.account_for(owner).reserved) == (before - 1, 0)


def test_the_same_key_replays_once(client: httpx.Client, first: Any, agent: ScriptedAgent) -> None:
    one, two = (replay(client, first, **{"idempotency-key": "again"}).json() for _ in range(2))
    assert (one["id"], len(agent.chats)) == (two["id"], 2)


def test_a_replay_is_no_part_of_the_conversation(
    client: httpx.Client, first: Any, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.answer("Else.")
    replay(client, first)
    ask(client, conversation)
    assert [turn["text"] for turn in agent.chats[-1]["history"]] == ["How often?", "Every 27 days [1]."]


@pytest.mark.parametrize("gone", ["deleted", "deleting", "off", "passage hidden"])
def test_what_is_deleted_or_off_since_is_not_told_again(
    client: httpx.Client, first: Any, knowledge: Knowledge, agent: ScriptedAgent, gone: str
) -> None:
    match gone:
        case "deleted":
            Document.objects.update(state=State.DELETING)
            knowledge.document.delete()
        case "deleting":
            Document.objects.update(state=State.DELETING)
        case "off":
            Document.objects.update(enabled=False)
        case "passage hidden":
            knowledge.chunk.enabled = False
            knowledge.chunk.save(update_fields=["enabled"])
    response = replay(client, first)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.CONFLICT, "source_deleted")
    assert (len(agent.chats), Entry.objects.filter(kind="hold").count()) == (1, 1)


@pytest.mark.parametrize("made", [{"curated": True}, {"degraded": True}, {"state": "stopped"}, {"bot_version": None}])
def test_only_what_a_model_made_is_replayed(client: httpx.Client, first: Any, made: dict[str, Any]) -> None:
    Answer.objects.update(**made)
    response = replay(client, first)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.CONFLICT, "not_replayable")
