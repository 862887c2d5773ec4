"""Asking as programs do, which keep the conversation themselves."""

from typing import Any

import httpx
import pytest
from pytest_django import Settings

from agent_service.contract import Turn
from backend.bots.errors import BotNotFound
from backend.bots.models import BotVersion, Strictness
from backend.conversations.models import Answer, Conversation, Message, Origin
from backend.conversations.questions import history
from backend.conversations.questions.opening import OpenedTurn
from backend.conversations.services import ask_once
from backend.credits.errors import NotEnoughCredits
from backend.credits.models import Entry
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge

BEFORE = [Turn(role="user", text="Is it a rock?"), Turn(role="assistant", text="Yes.")]


@pytest.fixture
def opened(owner: User, knowledge: Knowledge) -> OpenedTurn:
    turn = ask_once(user=owner, bot_id=knowledge.bot.pk, text="How often?", before=BEFORE, origin=Origin.OPENAI)
    assert isinstance(turn, OpenedTurn)
    return turn


def test_a_conversation_is_made_for_it_that_says_where_it_came_from(opened: OpenedTurn) -> None:
    conversation = Conversation.objects.get()
    assert (conversation.origin, conversation.title) == ("openai", "How often?")
    assert Message.objects.get().conversation_id == conversation.pk


def test_what_was_said_before_goes_into_the_prompt(opened: OpenedTurn) -> None:
    assert opened.history == BEFORE


def test_only_the_end_of_what_was_said_before_fits_the_budget(
    owner: User, knowledge: Knowledge, settings: Settings
) -> None:
    settings.HISTORY_BUDGET_TOKENS = 2
    kept = history.newest([], [turn.model_dump() for turn in BEFORE])
    assert kept == BEFORE[1:]


def test_a_persons_list_is_not_filled_by_programs(opened: OpenedTurn, client: httpx.Client) -> None:
    assert client.get("conversations/").json()["results"] == []
    (listed,) = client.get("conversations/", params={"origin": "openai"}).json()["results"]
    assert listed["id"] == str(opened.answer.conversation_id)


def test_without_credits_nothing_is_left_behind(owner: User, knowledge: Knowledge, settings: Settings) -> None:
    settings.SIGNUP_GRANT = 0
    with pytest.raises(NotEnoughCredits):
        ask_once(user=owner, bot_id=knowledge.bot.pk, text="How often?", origin=Origin.OPENAI)
    assert (Conversation.objects.count(), Message.objects.count(), Answer.objects.count()) == (0, 0, 0)


def test_anothers_private_bot_is_not_there(stranger: User, knowledge: Knowledge) -> None:
    with pytest.raises(BotNotFound):
        ask_once(user=stranger, bot_id=knowledge.bot.pk, text="How often?", origin=Origin.MCP)


def test_a_lower_limit_holds_less(owner: User, knowledge: Knowledge, by_token: None) -> None:
    wanted: dict[str, Any] = {"user": owner, "bot_id": knowledge.bot.pk, "text": "How often?", "origin": Origin.OPENAI}
    limits = [ask_once(**wanted, max_output_tokens=limit).max_output_tokens for limit in (None, 10, 10**9)]  # type: ignore[union-attr]
    assert limits == [1024, 10, 1024]
    amounts = Entry.objects.filter(kind="hold").order_by("seq").values_list("amount", flat=True)
    assert amounts[0] > amounts[1]


def test_without_a_bot_a_model_is_asked_as_the_given_version_says(owner: User, knowledge: Knowledge) -> None:
    version = BotVersion(model="google:gemini-2.5-flash", strictness=Strictness.FREE)
    turn = ask_once(user=owner, bot_id=None, text="Hello", origin=Origin.GATEWAY, version=version)
    assert (turn.answer.model, turn.bot, turn.answer.bot_version) == ("google:gemini-2.5-flash", None, None)  # type: ignore[union-attr]
