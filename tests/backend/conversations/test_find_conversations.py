"""Looking for words in one's own conversations."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.bots.models import Bot, Visibility
from backend.bots.services import create_bot
from backend.conversations.services import create_conversation
from backend.users.models import User
from tests.backend.conversations.told import told

AsUser = Callable[[User], APIClient]


@pytest.fixture
def bot(owner: User) -> Bot:
    return create_bot(owner=owner, name="Moon bot", visibility=Visibility.PUBLIC)


@pytest.fixture
def found(as_user: AsUser, owner: User) -> Callable[..., list[str]]:
    def get(search: str, **query: Any) -> list[str]:
        response = as_user(owner).get("/api/v1/conversations/", {"search": search, **query})
        assert response.status_code == HTTPStatus.OK
        return [row["id"] for row in response.json()["results"]]

    return get


def test_in_the_title(found: Any, owner: User, bot: Bot) -> None:
    titled = create_conversation(user=owner, bot_id=bot.pk, title="Tides of the sea")
    create_conversation(user=owner, bot_id=bot.pk, title="Other")
    assert found("SEA tide") == [str(titled.pk)]


def test_in_a_question_and_in_an_answer(found: Any, owner: User, bot: Bot) -> None:
    asked = told(owner, bot, "How high are the tides?", text="Two metres.")
    answered = told(owner, bot, "What else?", text="The tides.")
    told(owner, bot, "Unrelated?", text="Nothing.")
    assert found("tides") == [str(answered.conversation_id), str(asked.conversation_id)]


def test_all_words_stand_in_one_text(found: Any, owner: User, bot: Bot) -> None:
    told(owner, bot, "How high are the tides?", text="Two metres.")
    assert found("high metres") == []


def test_not_in_anybody_elses(found: Any, teammate: User, bot: Bot) -> None:
    told(teammate, bot, "How high are the tides?")
    assert found("tides") == []


def test_signs_are_themselves(found: Any, owner: User, bot: Bot) -> None:
    percent = told(owner, bot, "Is 50% of a_b\\c lit?")
    told(owner, bot, "Is 500 of aXb lit?")
    for sign in ("50%", "a_b", "b\\c"):
        assert found(sign) == [str(percent.conversation_id)]


def test_in_every_script(found: Any, owner: User, bot: Bot) -> None:
    asked = told(owner, bot, "月球有多远？", text="К Луне")
    assert found("有多") == found("ЛУНЕ") == [str(asked.conversation_id)]


def test_together_with_the_bot(found: Any, owner: User, bot: Bot) -> None:
    told(owner, bot, "tides")
    other = create_bot(owner=owner, name="Sun bot")
    assert found("tides", bot=str(other.pk)) == []


def test_a_bot_that_is_not_there_has_no_conversations(as_user: AsUser, owner: User, stranger: User, bot: Bot) -> None:
    foreign = create_bot(owner=stranger, name="Foreign")
    ids = [str(foreign.pk), "019aa000-0000-7000-8000-000000000000"]
    answers = [as_user(owner).get("/api/v1/conversations/", {"bot": bot_id}) for bot_id in ids]
    assert [answer.json()["results"] for answer in answers] == [[], []]


def test_a_very_long_search_is_refused(as_user: AsUser, owner: User) -> None:
    assert as_user(owner).get("/api/v1/conversations/", {"search": "x" * 201}).json()["code"] == "invalid"
