"""A fallback that answers is paid by its own price, out of a hold that covers the dearest of them."""

from typing import Any

import httpx
import pytest
from django.conf import settings

from backend.bots.models import BotVersion
from backend.conversations.models import Answer, Conversation
from backend.credits import services as ledger
from backend.credits.audit import find_differences
from backend.credits.models import Entry, Price
from backend.credits.pricing import Rates
from tests.backend.conversations.conftest import ask
from tests.backend.conversations.scripted_agent import ScriptedAgent

FIRST, SECOND = "local:extractive", "google:gemini-2.5-flash"
BY_SECOND = {"provider": "google", "model": "gemini-2.5-flash"}


@pytest.fixture
def dear(conversation: Conversation) -> Price:
    """The price of the fallback."""
    BotVersion.objects.update(fallbacks=[SECOND, "openai:gone"])
    ledger.set_price(model=FIRST, rates=Rates(1, 0, 0))
    return ledger.set_price(model=SECOND, rates=Rates(3, 1, 2))


def settled(answer: dict[str, str]) -> Any:
    return Entry.objects.select_related("price").get(kind="settle", reference=answer["id"])


def test_the_fallbacks_that_are_offered_are_named_to_the_agent(
    client: httpx.Client, conversation: Conversation, dear: Price, agent: ScriptedAgent
) -> None:
    ask(client, conversation)
    assert (agent.chats[-1]["model"], agent.chats[-1]["fallbacks"]) == (FIRST, [SECOND])


def test_the_hold_covers_the_dearest_model_of_the_chain(
    client: httpx.Client, conversation: Conversation, dear: Price
) -> None:
    answer = ask(client, conversation).json()
    held = Entry.objects.get(kind="hold", reference=answer["id"])
    assert held.amount > dear.cost(0, settings.ANSWER_LIMIT_TOKENS)


def test_an_answer_of_the_fallback_is_charged_by_the_fallbacks_price(
    client: httpx.Client, conversation: Conversation, dear: Price, agent: ScriptedAgent
) -> None:
    agent.answer("Every 27 days.", usage=BY_SECOND | {"input_tokens": 4000, "output_tokens": 500})
    answer = ask(client, conversation).json()
    assert (answer["model"], answer["answered_by"], answer["usage"]["charged"]) == (FIRST, SECOND, 3 + 4 + 1)
    assert settled(answer).price_id == dear.pk


def test_an_answer_of_the_first_model_is_charged_by_its_own_price(
    client: httpx.Client, conversation: Conversation, dear: Price
) -> None:
    answer = ask(client, conversation).json()
    assert (answer["answered_by"], answer["usage"]["charged"]) == (FIRST, 1)
    assert settled(answer).price.model == FIRST


def test_a_model_that_nobody_was_to_ask_is_charged_as_the_first(
    client: httpx.Client, conversation: Conversation, dear: Price, agent: ScriptedAgent
) -> None:
    agent.answer("Every 27 days.", usage={"provider": "openai", "model": "gone"})
    answer = ask(client, conversation).json()
    assert (answer["answered_by"], settled(answer).price.model) == (FIRST, FIRST)


def test_the_ledger_adds_up_whoever_answered(
    client: httpx.Client, conversation: Conversation, dear: Price, agent: ScriptedAgent
) -> None:
    agent.answer("Every 27 days.", usage=BY_SECOND)
    ask(client, conversation)
    assert find_differences() == []


def test_what_is_stopped_is_charged_by_the_cheapest_as_nobody_said_who_spoke(
    client: httpx.Client, conversation: Conversation, dear: Price, agent: ScriptedAgent
) -> None:
    agent.steps = ["Every 27 days", 30]
    url = f"conversations/{conversation.pk}/messages/"
    with client.stream("POST", url, json={"text": "How often?"}, headers={"accept": "text/event-stream"}) as response:
        lines = response.iter_lines()
        next(line for line in lines if "27 days" in line)
        client.post(f"answers/{Answer.objects.get().pk}/stop/")
        list(lines)
    answer = Answer.objects.get()
    assert (answer.charged, settled({"id": str(answer.pk)}).price.model) == (1, FIRST)
