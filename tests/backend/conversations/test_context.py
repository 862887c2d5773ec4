from collections.abc import Callable
from http import HTTPStatus

import httpx

from backend.bots.models import BotVersion
from backend.conversations.models import Conversation
from backend.credits.models import Entry
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, Knowledge, ask
from tests.backend.conversations.scripted_agent import ScriptedAgent


def test_it_shows_what_the_next_answer_would_be_given(client: httpx.Client, conversation: Conversation) -> None:
    BotVersion.objects.update(instructions="Be brief.")
    ask(client, conversation)
    context = client.get(f"conversations/{conversation.pk}/context/", params={"question": "And why?"}).json()
    assert (context["model"], context["instructions"]) == ("local:extractive", "Be brief.")
    assert [said["text"] for said in context["history"]] == ["How often?", "Every 27 days [1]."]
    assert [passage["text"] for passage in context["passages"]] == [PAGE]
    assert context["tokens"]["total"] == sum(n for part, n in context["tokens"].items() if part != "total")


def test_its_ceiling_is_what_the_next_question_holds(client: httpx.Client, conversation: Conversation) -> None:
    context = client.get(f"conversations/{conversation.pk}/context/", params={"question": "How often?"}).json()
    ask(client, conversation)
    assert Entry.objects.get(kind="hold").amount == context["ceiling"]


def test_it_asks_no_model_and_costs_nothing(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    client.get(f"conversations/{conversation.pk}/context/", params={"question": "How often?"})
    assert (agent.chats, Entry.objects.filter(kind="hold").count()) == ([], 0)


def test_without_a_question_nothing_is_searched(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    context = client.get(f"conversations/{conversation.pk}/context/").json()
    assert (context["passages"], context["confidence"], agent.retrievals) == ([], None, [])


def test_anothers_bot_does_not_show_its_instructions(
    client_of: Callable[[User], httpx.Client], knowledge: Knowledge, stranger: User
) -> None:
    knowledge.bot.visibility = "public"
    knowledge.bot.save(update_fields=["visibility"])
    asker = client_of(stranger)
    conversation = asker.post("conversations/", json={"bot": str(knowledge.bot.pk)}).json()["id"]
    assert asker.get(f"conversations/{conversation}/context/").json()["instructions"] is None


def test_anothers_conversation_shows_nothing(
    client_of: Callable[[User], httpx.Client], conversation: Conversation, stranger: User
) -> None:
    response = client_of(stranger).get(f"conversations/{conversation.pk}/context/")
    assert response.status_code == HTTPStatus.NOT_FOUND
