"""Questions that a bot could not answer, for its owner."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.bots.models import Bot, Visibility
from backend.bots.services import create_bot
from backend.conversations.errors import TurnInterrupted
from backend.conversations.models import Answer, AnswerState
from backend.users.models import User
from tests.backend.conversations.told import tell_again, told

AsUser = Callable[[User], APIClient]
FAILED: dict[str, Any] = {"state": AnswerState.FAILED, "error": TurnInterrupted(), "finish_reason": ""}
WAYS: dict[str, dict[str, Any]] = {
    "not_found": {"finish_reason": "not_found"},
    "refused": {"finish_reason": "safety"},
    "failed": FAILED,
    "degraded": {"degraded": True},
}


@pytest.fixture
def bot(owner: User) -> Bot:
    return create_bot(owner=owner, name="Moon bot", visibility=Visibility.PUBLIC)


@pytest.fixture
def listed(as_user: AsUser, owner: User, bot: Bot) -> Callable[..., list[dict[str, Any]]]:
    def get(**query: Any) -> list[dict[str, Any]]:
        response = as_user(owner).get(f"/api/v1/bots/{bot.pk}/unanswered/", query)
        assert response.status_code == HTTPStatus.OK
        return list(response.json()["results"])

    return get


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_listed_and_counted(listed: Any, teammate: User, bot: Bot, way: str) -> None:
    told(teammate, bot, "Who lives there?", **WAYS[way])
    (shown,) = listed()
    assert (shown["question"], shown["count"]) == ("Who lives there?", 1)
    assert {name: shown[name] for name in WAYS} == {name: int(name == way) for name in WAYS}


def test_answered_and_stopped_questions_are_not_listed(listed: Any, teammate: User, bot: Bot) -> None:
    told(teammate, bot)
    told(teammate, bot, "Stopped?", state=AnswerState.STOPPED)
    told(teammate, bot, "Running?", state=AnswerState.STREAMING)
    assert listed() == []


def test_a_question_answered_at_the_second_try_is_not_listed(listed: Any, teammate: User, bot: Bot) -> None:
    failed = told(teammate, bot, **FAILED)
    assert len(listed()) == 1
    tell_again(failed.message)
    assert listed() == []


def test_a_replay_does_not_count(listed: Any, teammate: User, bot: Bot) -> None:
    first = told(teammate, bot)
    replay = tell_again(first.message, **FAILED)
    Answer.objects.filter(pk=replay.pk).update(replay_of=first)
    assert listed() == []


def test_the_same_question_in_other_dress_is_counted_together(
    listed: Any, teammate: User, stranger: User, bot: Bot
) -> None:
    told(teammate, bot, "Who lives there?", finish_reason="not_found")
    told(stranger, bot, "  who  lives THERE ", **FAILED)
    (shown,) = listed()
    assert (shown["count"], shown["not_found"], shown["failed"]) == (2, 1, 1)


def test_other_words_are_another_question(listed: Any, teammate: User, bot: Bot) -> None:
    for question in ("谁住在那里？", "它有多远？"):
        told(teammate, bot, question, finish_reason="not_found")
    assert {shown["question"] for shown in listed()} == {"谁住在那里？", "它有多远？"}


def test_by_reason_by_time_and_by_number(listed: Any, teammate: User, bot: Bot) -> None:
    for question in ("Often?", "Often?", "Lately?"):
        told(teammate, bot, question, finish_reason="not_found")
    told(teammate, bot, "Failed?", **FAILED)
    assert next(shown["question"] for shown in listed(sort="often")) == "Often?"
    assert [shown["question"] for shown in listed()] == ["Failed?", "Lately?", "Often?"]
    assert [shown["question"] for shown in listed(why="failed")] == ["Failed?"]
    assert listed(since="2099-01-01T00:00:00Z") == []


def test_pages_have_every_question_once(as_user: AsUser, owner: User, teammate: User, bot: Bot) -> None:
    for number in range(5):
        told(teammate, bot, f"Question {number}?", finish_reason="not_found")
    client = as_user(owner)
    for sort in ("lately", "often"):
        url, seen = f"/api/v1/bots/{bot.pk}/unanswered/?page_size=2&sort={sort}", []
        while url:
            page = client.get(url).json()
            seen += [shown["question"] for shown in page["results"]]
            url = page["next"]
        assert sorted(seen) == [f"Question {number}?" for number in range(5)]


def test_nothing_tells_who_asked(as_user: AsUser, owner: User, teammate: User, bot: Bot) -> None:
    told(teammate, bot, finish_reason="not_found")
    said = as_user(owner).get(f"/api/v1/bots/{bot.pk}/unanswered/").content.decode()
    assert teammate.email not in said
    assert str(teammate.pk) not in said


def test_another_bots_questions_are_not_listed(listed: Any, owner: User, teammate: User) -> None:
    told(teammate, create_bot(owner=owner, name="Sun", visibility=Visibility.PUBLIC), finish_reason="not_found")
    assert listed() == []


@pytest.mark.parametrize("query", [{"why": "boredom"}, {"since": "yesterday"}, {"sort": "random"}])
def test_what_no_filter_knows_is_refused(as_user: AsUser, owner: User, bot: Bot, query: dict[str, str]) -> None:
    assert as_user(owner).get(f"/api/v1/bots/{bot.pk}/unanswered/", query).json()["code"] == "invalid"
