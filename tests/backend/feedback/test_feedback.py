"""Thumbs and comments, by the person who asked and for the bot's owner."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.bots.models import Bot, Visibility
from backend.bots.services import create_bot, delete_bot
from backend.conversations.models import Answer, AnswerState, Receipt
from backend.conversations.services import delete_conversation
from backend.feedback.models import Feedback
from backend.users import services as users
from backend.users.models import User
from tests.backend.conversations.conftest import know
from tests.backend.conversations.told import span, told

AsUser = Callable[[User], APIClient]
DOWN = {"rating": "down", "comment": "It is 27.3 days."}


@pytest.fixture
def bot(owner: User) -> Bot:
    return create_bot(owner=owner, name="Moon bot", visibility=Visibility.PUBLIC)


@pytest.fixture
def answer(teammate: User, bot: Bot) -> Answer:
    """The teammate asked the owner's bot."""
    return told(teammate, bot)


def url(answer: Answer) -> str:
    return f"/api/v1/answers/{answer.pk}/feedback/"


def received(client: APIClient, bot: Bot, **query: Any) -> list[dict[str, Any]]:
    response = client.get(f"/api/v1/bots/{bot.pk}/feedback/", query)
    assert response.status_code == HTTPStatus.OK
    return list(response.json()["results"])


def test_the_asker_gives_and_reads_it_back(as_user: AsUser, teammate: User, answer: Answer) -> None:
    client = as_user(teammate)
    given = client.put(url(answer), DOWN)
    assert given.status_code == HTTPStatus.OK
    assert client.get(url(answer)).json() == given.json()
    assert (given.json()["rating"], given.json()["comment"]) == ("down", "It is 27.3 days.")


def test_a_second_thumb_takes_the_place_of_the_first(as_user: AsUser, teammate: User, answer: Answer) -> None:
    client = as_user(teammate)
    client.put(url(answer), DOWN)
    assert client.put(url(answer), {"rating": "up"}).json()["comment"] == ""
    assert [row.rating for row in Feedback.objects.all()] == ["up"]


def test_taking_it_back_leaves_nothing_and_can_be_repeated(as_user: AsUser, teammate: User, answer: Answer) -> None:
    client = as_user(teammate)
    client.put(url(answer), DOWN)
    assert [client.delete(url(answer)).status_code for _ in range(2)] == [204, 204]
    assert client.get(url(answer)).status_code == HTTPStatus.NOT_FOUND


def test_the_bots_owner_cannot_rate_for_the_asker(as_user: AsUser, owner: User, answer: Answer) -> None:
    client = as_user(owner)
    assert client.put(url(answer), DOWN).status_code == HTTPStatus.NOT_FOUND
    assert client.delete(url(answer)).status_code == HTTPStatus.NOT_FOUND
    assert not Feedback.objects.exists()


def test_an_answer_that_still_runs_cannot_be_rated(as_user: AsUser, teammate: User, bot: Bot) -> None:
    running = told(teammate, bot, state=AnswerState.STREAMING)
    assert as_user(teammate).put(url(running), DOWN).json()["code"] == "answer_in_progress"


@pytest.mark.parametrize("body", [{}, {"rating": "sideways"}, {"rating": "up", "comment": "x" * 2001}, {"rating": 1}])
def test_what_is_no_rating_is_refused(as_user: AsUser, teammate: User, answer: Answer, body: dict[str, Any]) -> None:
    assert as_user(teammate).put(url(answer), body).json()["code"] == "invalid"


def test_a_comment_is_cleaned(as_user: AsUser, teammate: User, answer: Answer) -> None:
    comment = as_user(teammate).put(url(answer), {"rating": "up", "comment": " so\U000e0041 so\r\n"}).json()["comment"]
    assert comment == "so so"


def test_a_conversations_feedback_comes_in_one_list(as_user: AsUser, teammate: User, answer: Answer) -> None:
    client = as_user(teammate)
    client.put(url(answer), DOWN)
    listed = client.get(f"/api/v1/conversations/{answer.conversation_id}/feedback/").json()["results"]
    assert [row["answer"] for row in listed] == [str(answer.pk)]


def test_the_owner_reads_question_answer_and_comment_but_not_who(
    as_user: AsUser, owner: User, teammate: User, bot: Bot, answer: Answer
) -> None:
    as_user(teammate).put(url(answer), DOWN)
    response = as_user(owner).get(f"/api/v1/bots/{bot.pk}/feedback/")
    (shown,) = response.json()["results"]
    assert shown["question"] == "How long?"
    assert shown["answer"]["text"] == "Every 27 days [1]."
    assert (shown["rating"], shown["comment"]) == ("down", "It is 27.3 days.")
    for identity in (str(teammate.pk), teammate.email, teammate.name, str(answer.conversation_id)):
        assert identity not in response.content.decode()


def test_what_was_not_rated_is_not_shown(as_user: AsUser, owner: User, bot: Bot, answer: Answer) -> None:
    assert received(as_user(owner), bot) == []


def test_the_list_is_the_owners_alone(as_user: AsUser, teammate: User, bot: Bot, answer: Answer) -> None:
    as_user(teammate).put(url(answer), DOWN)
    assert as_user(teammate).get(f"/api/v1/bots/{bot.pk}/feedback/").status_code == HTTPStatus.NOT_FOUND


def test_filters(as_user: AsUser, owner: User, teammate: User, bot: Bot, answer: Answer) -> None:
    as_user(teammate).put(url(answer), DOWN)
    as_user(teammate).put(url(told(teammate, bot, "Who lives there?")), {"rating": "up"})
    client = as_user(owner)
    assert [row["question"] for row in received(client, bot, rating="up")] == ["Who lives there?"]
    assert [row["question"] for row in received(client, bot, commented="true")] == ["How long?"]
    assert received(client, bot, since="2099-01-01T00:00:00Z") == []
    assert len(received(client, bot)) == 2


def test_a_receipt_shows_what_the_answer_was_made_from(as_user: AsUser, owner: User, teammate: User, bot: Bot) -> None:
    answer = told(teammate, bot, citations=[span(know(bot).version.pk)])
    Receipt.objects.create(answer=answer, query="moon orbit days", timings={"retrieve": 4.2})
    as_user(teammate).put(url(answer), DOWN)
    client = as_user(owner)
    (shown,) = received(client, bot)
    receipt = client.get(shown["receipt"])
    assert receipt.json()["receipt"]["query"] == "moon orbit days"
    assert [citation["quote"] for citation in receipt.json()["citations"]] == ["The moon i"]
    assert "charged" not in receipt.content.decode()
    assert as_user(teammate).get(shown["receipt"]).status_code == HTTPStatus.NOT_FOUND


def test_a_receipt_of_another_of_ones_bots_is_not_found(
    as_user: AsUser, owner: User, teammate: User, answer: Answer
) -> None:
    as_user(teammate).put(url(answer), DOWN)
    other = create_bot(owner=owner, name="Sun bot")
    feedback = Feedback.objects.get()
    path = f"/api/v1/bots/{other.pk}/feedback/{feedback.pk}/receipt/"
    assert as_user(owner).get(path).status_code == HTTPStatus.NOT_FOUND


def test_with_the_conversation_it_goes(as_user: AsUser, owner: User, teammate: User, bot: Bot, answer: Answer) -> None:
    as_user(teammate).put(url(answer), DOWN)
    delete_conversation(conversation=answer.conversation)
    assert received(as_user(owner), bot) == []
    assert not Feedback.objects.exists()


def test_a_closed_account_is_gone_from_the_list_at_once(
    as_user: AsUser, owner: User, teammate: User, bot: Bot, answer: Answer
) -> None:
    as_user(teammate).put(url(answer), DOWN)
    told(teammate, bot, finish_reason="not_found")
    users.delete_account(user=teammate)
    client = as_user(owner)
    assert received(client, bot) == []
    assert client.get(f"/api/v1/bots/{bot.pk}/unanswered/").json()["results"] == []


def test_a_deleted_bots_feedback_can_no_longer_be_reached(
    as_user: AsUser, owner: User, teammate: User, bot: Bot, answer: Answer
) -> None:
    as_user(teammate).put(url(answer), DOWN)
    delete_bot(bot=bot)
    assert as_user(owner).get(f"/api/v1/bots/{bot.pk}/feedback/").status_code == HTTPStatus.NOT_FOUND
    assert as_user(teammate).get(url(answer)).status_code == HTTPStatus.NOT_FOUND


def test_the_admin_shows_no_text(as_user: AsUser, admin_client: Any, teammate: User, answer: Answer) -> None:
    as_user(teammate).put(url(answer), DOWN)
    feedback = Feedback.objects.get()
    for path in ("/admin/feedback/feedback/", f"/admin/feedback/feedback/{feedback.pk}/change/"):
        page = admin_client.get(path)
        assert page.status_code == HTTPStatus.OK
        assert "27.3" not in page.content.decode()
        assert "How long" not in page.content.decode()
