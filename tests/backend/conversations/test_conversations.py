from collections.abc import Callable
from http import HTTPStatus

import pytest
from rest_framework.test import APIClient

from backend.bots.models import Bot, Visibility
from backend.bots.services import create_bot, delete_bot
from backend.conversations.models import Conversation
from backend.conversations.services import create_conversation
from backend.users.models import User

AsUser = Callable[[User], APIClient]
URL = "/api/v1/conversations/"


@pytest.fixture
def bot(owner: User) -> Bot:
    return create_bot(owner=owner, name="Moon bot")


def test_create(as_user: AsUser, owner: User, bot: Bot) -> None:
    response = as_user(owner).post(URL, {"bot": str(bot.pk), "title": "Moon"})
    assert response.status_code == HTTPStatus.CREATED
    assert (response.data["title"], response.data["bot"]) == ("Moon", bot.pk)


def test_the_same_key_creates_one(as_user: AsUser, owner: User, bot: Bot) -> None:
    client = as_user(owner)
    first, second = (client.post(URL, {"bot": str(bot.pk)}, headers={"idempotency-key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    assert Conversation.objects.count() == 1


@pytest.mark.parametrize(
    ("visibility", "status"),
    [(Visibility.PRIVATE, 404), (Visibility.UNLISTED, 201), (Visibility.PUBLIC, 201)],
)
def test_a_stranger_talks_only_to_what_was_opened_to_them(
    as_user: AsUser, stranger: User, bot: Bot, visibility: Visibility, status: int
) -> None:
    Bot.objects.update(visibility=visibility)
    assert as_user(stranger).post(URL, {"bot": str(bot.pk)}).status_code == status


def test_list_shows_ones_own_by_bot(as_user: AsUser, owner: User, bot: Bot) -> None:
    other = create_bot(owner=owner, name="Sun bot")
    for target in (bot, other):
        create_conversation(user=owner, bot_id=target.pk)
    listed = as_user(owner).get(URL, {"bot": str(bot.pk)}).data["results"]
    assert [row["bot"] for row in listed] == [bot.pk]


def test_rename(as_user: AsUser, owner: User, bot: Bot) -> None:
    conversation = create_conversation(user=owner, bot_id=bot.pk)
    response = as_user(owner).patch(f"{URL}{conversation.pk}/", {"title": "New"})
    assert response.data["title"] == "New"
    conversation.refresh_from_db()
    assert conversation.title == "New"


def test_delete(as_user: AsUser, owner: User, bot: Bot) -> None:
    conversation = create_conversation(user=owner, bot_id=bot.pk)
    client = as_user(owner)
    assert client.delete(f"{URL}{conversation.pk}/").status_code == HTTPStatus.NO_CONTENT
    assert client.get(f"{URL}{conversation.pk}/").status_code == HTTPStatus.NOT_FOUND


def test_a_deleted_bots_conversations_are_gone_at_once(as_user: AsUser, owner: User, bot: Bot) -> None:
    conversation = create_conversation(user=owner, bot_id=bot.pk)
    delete_bot(bot=bot)
    assert as_user(owner).get(f"{URL}{conversation.pk}/").status_code == HTTPStatus.NOT_FOUND
    assert as_user(owner).get(URL).data["results"] == []


@pytest.mark.parametrize("bot_id", ["", "x", None, 5, ["a"], {"a": 1}, "019aa000-0000-7000-8000-000000000000"])
def test_a_bad_bot_is_refused(as_user: AsUser, owner: User, bot_id: object) -> None:
    response = as_user(owner).post(URL, {"bot": bot_id})
    assert response.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
    assert set(response.json()) == {"code", "message", "details", "request_id"}
