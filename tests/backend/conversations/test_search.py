"""POST /bots/{bot_id}/search/"""

from collections.abc import Callable
from http import HTTPStatus
from uuid import uuid4

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.bots.models import Bot, Visibility
from backend.bots.services import create_bot
from backend.credits.models import Entry
from backend.documents.models import Document, State
from backend.documents.passages import SPARE_HITS
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, Knowledge, know
from tests.backend.conversations.library import write
from tests.backend.conversations.scripted_agent import ScriptedAgent

AsUser = Callable[[User], APIClient]


def url(knowledge: Knowledge) -> str:
    return f"/api/v1/bots/{knowledge.bot.pk}/search/"


def test_anonymous(knowledge: Knowledge) -> None:
    assert APIClient().post(url(knowledge), {"query": "moon"}).status_code == HTTPStatus.UNAUTHORIZED


def test_a_bot_that_never_was(as_user: AsUser, owner: User) -> None:
    response = as_user(owner).post(f"/api/v1/bots/{uuid4()}/search/", {"query": "moon"})
    assert response.status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("visibility", "status"), [(Visibility.PRIVATE, 404), (Visibility.UNLISTED, 200), (Visibility.PUBLIC, 200)]
)
def test_a_stranger_searches_only_what_was_opened_to_them(
    as_user: AsUser, stranger: User, knowledge: Knowledge, agent: ScriptedAgent, visibility: Visibility, status: int
) -> None:
    Bot.objects.update(visibility=visibility)
    assert as_user(stranger).post(url(knowledge), {"query": "moon"}).status_code == status
    assert len(agent.retrievals) == (status == HTTPStatus.OK)


def test_the_owner_gets_passages_with_their_place(
    as_user: AsUser, owner: User, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    agent.confidence = 0.42
    response = as_user(owner).post(url(knowledge), {"query": "How long is an orbit?", "limit": 5})
    assert response.json() == {
        "passages": [
            {
                "document": {"id": str(knowledge.document.pk), "title": "Moon"},
                "version": 1,
                "page": 1,
                "label": "Page 1",
                "heading": "",
                "start": 0,
                "end": len(PAGE),
                "text": PAGE,
                "link": "",
                "author": "",
                "dated": None,
                "score": 0.9,
                "changed": False,
            }
        ],
        "confidence": 0.42,
        "notes": [],
    }
    assert (agent.retrievals[0]["query"], agent.retrievals[0]["limit"]) == ("How long is an orbit?", 5 * SPARE_HITS)


def test_it_costs_nothing(as_user: AsUser, owner: User, knowledge: Knowledge) -> None:
    as_user(owner).post(url(knowledge), {"query": "moon"})
    assert not Entry.objects.filter(account__user=owner, kind="hold").exists()


def test_no_more_than_asked_for(as_user: AsUser, owner: User, knowledge: Knowledge, agent: ScriptedAgent) -> None:
    agent.hits = write(knowledge.bot, [[f"Passage {n} of {n}."] for n in range(5)]).hits()
    assert len(as_user(owner).post(url(knowledge), {"query": "moon", "limit": 2}).data["passages"]) == 2


def test_what_is_being_deleted_is_not_shown(as_user: AsUser, owner: User, knowledge: Knowledge) -> None:
    Document.objects.update(state=State.DELETING)
    assert as_user(owner).post(url(knowledge), {"query": "moon"}).data["passages"] == []


def test_another_bots_passages_are_never_shown(
    as_user: AsUser, owner: User, stranger: User, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    """Whatever the agent answers."""
    Bot.objects.update(owner=stranger)
    foreign = know(create_bot(owner=owner, name="Mine"))
    response = as_user(owner).post(url(foreign), {"query": "moon"})
    assert (response.status_code, response.data["passages"], len(agent.retrievals)) == (200, [], 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "  "},
        {"query": "x" * 8001},
        {"query": "x", "limit": 21},
        {"query": "x", "limit": 0},
    ],
)
def test_what_cannot_be_asked(as_user: AsUser, owner: User, knowledge: Knowledge, body: dict[str, object]) -> None:
    assert as_user(owner).post(url(knowledge), body).status_code == HTTPStatus.BAD_REQUEST


def test_is_limited_like_questions(as_user: AsUser, owner: User, knowledge: Knowledge, settings: Settings) -> None:
    settings.CHAT_LIMIT_PER_MINUTE = 2
    codes = [as_user(owner).post(url(knowledge), {"query": "moon"}).status_code for _ in range(4)]
    assert HTTPStatus.TOO_MANY_REQUESTS in codes[2:]
    assert codes[:2] == [HTTPStatus.OK] * 2


def test_an_agent_that_is_away(as_user: AsUser, owner: User, knowledge: Knowledge, settings: Settings) -> None:
    settings.AGENT_URL = "http://127.0.0.1:9"
    response = as_user(owner).post(url(knowledge), {"query": "moon"})
    assert (response.status_code, response.json()["code"]) == (503, "agent_unavailable")
