"""Asked what its owner has answered, a bot says just that, at once, and no model is asked."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.bots.models import Bot, Visibility
from backend.conversations import services as talking
from backend.conversations.models import Answer, Conversation
from backend.credits import services as ledger
from backend.credits.models import Entry
from backend.credits.pricing import Rates
from backend.curated import services
from backend.curated.models import Pair
from backend.documents.models import Document
from backend.users.models import User
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events
from tests.backend.curated.conftest import ANSWER, QUESTION

ClientOf = Callable[[User], httpx.Client]
ASKED = "Hello, what are YOUR opening hours"


@pytest.fixture
def client(owner: User, client_of: ClientOf) -> httpx.Client:
    return client_of(owner)


def ask(client: httpx.Client, conversation: Conversation, text: str = ASKED, **headers: str) -> httpx.Response:
    return client.post(f"conversations/{conversation.pk}/messages/", json={"text": text}, headers=headers)


def balance(owner: User) -> tuple[int, int]:
    account = ledger.account_for(owner)
    return account.available, account.reserved


def test_the_owners_words_are_given_as_they_are_with_their_place(
    client: httpx.Client, conversation: Conversation, pair: Pair, read: Callable[[], Document], agent: ScriptedAgent
) -> None:
    document = read()
    answer = ask(client, conversation).json()
    assert (answer["text"], answer["curated"], answer["state"]) == (ANSWER, True, "done")
    (citation,) = answer["citations"]
    assert (citation["quote"], citation["label"], citation["link"]) == (ANSWER, "Question 1", pair.link)
    assert citation["document"]["id"] == str(document.pk)
    opened = client.get(f"answers/{answer['id']}/citations/1/").json()
    assert opened["page_text"][citation["start"] : citation["end"]] == ANSWER
    assert (agent.retrievals, agent.chats) == ([], [])


def test_they_end_before_a_stop_sequence_of_the_asker(client: httpx.Client, pair: Pair) -> None:
    asked = {"model": str(pair.book.document.bot_id), "messages": [{"role": "user", "content": ASKED}]}
    stop = ANSWER[5:9]
    response = client.post(str(client.base_url.join("/v1/chat/completions")), json=asked | {"stop": stop})
    assert response.json()["choices"][0]["message"]["content"] == ANSWER[:5]


def test_before_the_document_was_read_it_is_given_without_a_place(
    client: httpx.Client, conversation: Conversation, pair: Pair
) -> None:
    answer = ask(client, conversation).json()
    assert (answer["text"], answer["citations"]) == (ANSWER, [])


def test_the_stream_says_that_it_is_curated_and_the_row_too(
    client: httpx.Client, conversation: Conversation, pair: Pair, read: Callable[[], Document]
) -> None:
    read()
    named = events(ask(client, conversation, accept="text/event-stream").text)
    assert [name for name, _ in named] == ["meta", "delta", "citations", "usage", "done"]
    assert dict(named)["meta"]["curated"] is True
    stored = client.get(f"answers/{dict(named)['meta']['answer_id']}/").json()
    assert dict(named)["citations"]["citations"] == stored["citations"]
    assert Answer.objects.get().curated


def test_it_costs_nothing_and_the_ledger_says_so(
    client: httpx.Client, conversation: Conversation, pair: Pair, owner: User
) -> None:
    before = balance(owner)
    answer = ask(client, conversation).json()
    assert (answer["usage"]["charged"], balance(owner)) == (0, before)
    assert list(Entry.objects.filter(reference=answer["id"]).order_by("seq").values_list("kind", "amount")) == [
        ("hold", 1),
        ("settle", 0),
    ]


def test_with_a_price_of_its_own_in_the_book_it_costs_that(
    client: httpx.Client, conversation: Conversation, pair: Pair, owner: User
) -> None:
    ledger.set_price(model="curated", rates=Rates(per_answer=3, input_per_1k=0, output_per_1k=0))
    before = balance(owner)[0]
    assert ask(client, conversation).json()["usage"]["charged"] == 3
    assert balance(owner) == (before - 3, 0)


@pytest.mark.parametrize("text", ["What are your closing hours?", "What were your opening hours?", "hours", "?!"])
def test_another_question_is_the_models(
    client: httpx.Client, conversation: Conversation, pair: Pair, agent: ScriptedAgent, text: str
) -> None:
    answer = ask(client, conversation, text).json()
    assert (answer["curated"], len(agent.chats)) == (False, 1)


def test_looking_for_a_pair_costs_no_statement_of_its_own(owner: User, conversation: Conversation) -> None:
    with CaptureQueriesContext(connection) as asked:
        talking.ask(user=owner, conversation_id=conversation.pk, text="How often?")
    looked = [query["sql"] for query in asked if '"curated_' in query["sql"]]
    assert len(looked) == 1
    assert 'FROM "conversations_conversation"' in looked[0]


def test_taken_back_it_answers_no_more(
    client: httpx.Client, conversation: Conversation, pair: Pair, agent: ScriptedAgent
) -> None:
    assert ask(client, conversation).json()["curated"]
    services.change_pair(pair=pair, changes={"enabled": False})
    assert not ask(client, conversation).json()["curated"]
    services.change_pair(pair=pair, changes={"enabled": True, "answer": "Never."})
    assert ask(client, conversation).json()["text"] == "Never."
    services.delete_pair(pair=pair)
    assert not ask(client, conversation).json()["curated"]


def test_it_answers_while_the_agent_is_away(
    client: httpx.Client, conversation: Conversation, pair: Pair, agent: ScriptedAgent
) -> None:
    agent.refusal = (503, {"code": "model_unavailable", "message": "Busy.", "retryable": True})
    assert ask(client, conversation).json()["text"] == ANSWER


def test_a_guest_of_an_open_bot_gets_it_as_well(client_of: ClientOf, stranger: User, bot: Bot, pair: Pair) -> None:
    Bot.objects.update(visibility=Visibility.PUBLIC)
    guest = client_of(stranger)
    opened = guest.post("conversations/", json={"bot": str(bot.pk)}).json()
    answer: Any = guest.post(f"conversations/{opened['id']}/messages/", json={"text": QUESTION}).json()
    assert (answer["text"], answer["curated"]) == (ANSWER, True)


def test_regenerated_it_is_the_same(client: httpx.Client, conversation: Conversation, pair: Pair) -> None:
    first = ask(client, conversation).json()
    again = client.post(f"messages/{first['message']}/regenerate/").json()
    assert (again["text"], again["curated"]) == (ANSWER, True)


def test_in_the_next_prompt_it_is_history(
    client: httpx.Client, conversation: Conversation, pair: Pair, agent: ScriptedAgent
) -> None:
    ask(client, conversation)
    ask(client, conversation, "How often does the moon go round?")
    assert [turn["text"] for turn in agent.chats[-1]["history"]] == [ASKED, ANSWER]
