"""Links that show a conversation to whoever has them."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.bots.models import Bot, Visibility
from backend.bots.services import create_bot, delete_bot
from backend.conversations.models import AnswerState, Conversation
from backend.conversations.services import create_conversation, delete_conversation
from backend.documents.services import delete_document
from backend.sharing import services
from backend.sharing.models import Share, SharedTurn
from backend.sharing.services import share
from backend.users import services as users
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge, know
from tests.backend.conversations.told import span, tell, tell_again

AsUser = Callable[[User], APIClient]
UNKNOWN = "x" * 43


@pytest.fixture
def known(owner: User) -> Knowledge:
    return know(create_bot(owner=owner, name="Moon bot", visibility=Visibility.PUBLIC))


@pytest.fixture
def bot(known: Knowledge) -> Bot:
    return known.bot


@pytest.fixture
def conversation(teammate: User, known: Knowledge) -> Conversation:
    """The teammate's, with the owner's bot, and one answer that cites its page."""
    conversation = create_conversation(user=teammate, bot_id=known.bot.pk, title="Moon")
    tell(conversation, "How long?", citations=[span(known.version.pk)])
    return conversation


@pytest.fixture
def token(conversation: Conversation) -> str:
    return share(conversation=conversation)[1]


def opened(token: str) -> Any:
    return APIClient().get(f"/api/v1/shared/{token}/")


def shares(conversation: Conversation) -> str:
    return f"/api/v1/conversations/{conversation.pk}/shares/"


def test_whoever_has_the_link_reads_question_answer_and_sources(token: str) -> None:
    shown = opened(token).json()
    assert (shown["title"], shown["bot"]) == ("Moon", "Moon bot")
    (turn,) = shown["turns"]
    assert (turn["question"], turn["answer"]["text"]) == ("How long?", "Every 27 days [1].")
    (citation,) = turn["answer"]["citations"]
    assert (citation["marker"], citation["title"], citation["quote"]) == (1, "Moon", "The moon i")


def test_no_id_and_no_person_is_in_it(token: str, conversation: Conversation, owner: User, teammate: User) -> None:
    said = opened(token).content.decode()
    people = [text for user in (owner, teammate) for text in (str(user.pk), user.email, user.name)]
    for identity in [*people, str(conversation.pk), str(conversation.bot_id)]:
        assert identity not in said


def test_later_turns_and_answers_are_not_shown(token: str, conversation: Conversation) -> None:
    tell(conversation, "And who lives there?")
    tell_again(conversation.messages.earliest("pk"), text="Once a month.")
    Conversation.objects.update(title="Renamed")
    shown = opened(token).json()
    assert [turn["answer"]["text"] for turn in shown["turns"]] == ["Every 27 days [1]."]
    assert shown["title"] == "Moon"


def test_of_a_question_answered_twice_the_newest_given_answer_is_pinned(conversation: Conversation) -> None:
    message = conversation.messages.get()
    tell_again(message, text="Once a month.")
    tell_again(message, state=AnswerState.FAILED, text="Once")
    (turn,) = opened(share(conversation=conversation)[1]).json()["turns"]
    assert turn["answer"]["text"] == "Once a month."


def test_turns_come_in_the_order_they_were_said(conversation: Conversation) -> None:
    tell(conversation, "Second?")
    tell(conversation, "Third?")
    turns = opened(share(conversation=conversation)[1]).json()["turns"]
    assert [turn["question"] for turn in turns] == ["How long?", "Second?", "Third?"]


def test_of_a_very_long_talk_the_newest_turns_are_shared(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "TURNS", 2)
    tell(conversation, "Second?")
    tell(conversation, "Third?")
    turns = opened(services.share(conversation=conversation)[1]).json()["turns"]
    assert [turn["question"] for turn in turns] == ["Second?", "Third?"]


def test_the_token_is_shown_once_and_stored_nowhere(
    as_user: AsUser, teammate: User, conversation: Conversation
) -> None:
    client, key = as_user(teammate), {"idempotency-key": "k"}
    made = client.post(shares(conversation), headers=key)
    assert made.status_code == HTTPStatus.CREATED
    assert opened(made.json()["token"]).status_code == HTTPStatus.OK
    assert made.json()["url"].endswith(f"/api/v1/shared/{made.json()['token']}/")
    again = client.post(shares(conversation), headers=key)
    assert (again.json()["token"], again.json()["url"]) == (None, None)
    assert Share.objects.count() == 1
    assert made.json()["token"] not in str(Share.objects.values())
    assert "token" not in client.get(shares(conversation)).json()["results"][0]


def test_revoked_it_is_gone(as_user: AsUser, teammate: User, conversation: Conversation) -> None:
    row, token = share(conversation=conversation)
    other = share(conversation=conversation)[1]
    assert as_user(teammate).delete(f"/api/v1/shares/{row.pk}/").status_code == HTTPStatus.NO_CONTENT
    assert opened(token).status_code == HTTPStatus.NOT_FOUND
    assert opened(other).status_code == HTTPStatus.OK


def test_gone_and_unknown_are_answered_alike(conversation: Conversation) -> None:
    row, token = share(conversation=conversation)
    row.delete()
    bodies = [{**opened(one).json(), "request_id": ""} for one in (token, UNKNOWN, "short", "ü" * 43)]
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.parametrize(
    "close",
    [
        lambda teammate, bot, conversation: users.suspend(user=teammate),
        lambda teammate, bot, conversation: users.delete_account(user=teammate),
        lambda teammate, bot, conversation: users.suspend(user=bot.owner),
        lambda teammate, bot, conversation: users.delete_account(user=bot.owner),
        lambda teammate, bot, conversation: delete_bot(bot=bot),
        lambda teammate, bot, conversation: delete_conversation(conversation=conversation),
        lambda teammate, bot, conversation: Bot.objects.update(visibility=Visibility.PRIVATE),
    ],
    ids=["suspended", "closed", "owner suspended", "owner closed", "bot deleted", "talk deleted", "bot gone private"],
)
def test_one_switch_closes_it_at_once(
    token: str, teammate: User, bot: Bot, conversation: Conversation, close: Any
) -> None:
    assert opened(token).status_code == HTTPStatus.OK
    close(teammate, bot, conversation)
    assert opened(token).status_code == HTTPStatus.NOT_FOUND


def test_of_ones_own_private_bot_it_stays_open(owner: User, bot: Bot) -> None:
    Bot.objects.update(visibility=Visibility.PRIVATE)
    own = create_conversation(user=owner, bot_id=bot.pk)
    tell(own, "How long?")
    assert opened(share(conversation=own)[1]).status_code == HTTPStatus.OK


def test_a_deleted_documents_words_vanish(token: str, known: Knowledge) -> None:
    delete_document(document=known.document)
    response = opened(token)
    (citation,) = response.json()["turns"][0]["answer"]["citations"]
    assert set(citation.values()) == {1, None}
    assert "The moon i" not in response.content.decode()


def test_a_talk_with_all_bots_loses_the_quotes_of_one_that_went_private(
    token: str, conversation: Conversation, bot: Bot
) -> None:
    Conversation.objects.update(bot=None)
    assert "The moon i" in opened(token).content.decode()
    Bot.objects.update(visibility=Visibility.PRIVATE)
    response = opened(token)
    assert response.json()["bot"] is None
    assert "The moon i" not in response.content.decode()


def test_nothing_keeps_it_or_finds_it(token: str) -> None:
    for response in (opened(token), opened(UNKNOWN)):
        assert response["Cache-Control"] == "no-store"
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        assert response["Referrer-Policy"] == "no-referrer"


def test_guessing_is_slow(settings: Settings, token: str) -> None:
    settings.SHARED_LIMIT_PER_MINUTE = 2
    assert [opened(UNKNOWN).status_code for _ in range(3)] == [404, 404, 429]
    assert opened(token).status_code == HTTPStatus.TOO_MANY_REQUESTS


def test_without_an_answer_there_is_nothing_to_share(as_user: AsUser, teammate: User, bot: Bot) -> None:
    empty = create_conversation(user=teammate, bot_id=bot.pk)
    tell(empty, "Running?", state=AnswerState.STREAMING)
    assert as_user(teammate).post(shares(empty)).json()["code"] == "nothing_to_share"


def test_so_many_links_and_no_more(
    settings: Settings, as_user: AsUser, teammate: User, conversation: Conversation
) -> None:
    settings.SHARES_LIMIT = 1
    client = as_user(teammate)
    assert client.post(shares(conversation)).status_code == HTTPStatus.CREATED
    assert client.post(shares(conversation)).json()["code"] == "too_many_shares"


def test_the_bots_owner_cannot_share_another_persons_talk(
    as_user: AsUser, owner: User, conversation: Conversation
) -> None:
    row, _ = share(conversation=conversation)
    client = as_user(owner)
    assert client.post(shares(conversation)).status_code == HTTPStatus.NOT_FOUND
    assert client.delete(f"/api/v1/shares/{row.pk}/").status_code == HTTPStatus.NOT_FOUND
    assert Share.objects.count() == 1


def test_a_closed_account_leaves_no_link(teammate: User, token: str) -> None:
    teammate.delete()
    assert not Share.objects.exists()
    assert not SharedTurn.objects.exists()


def test_a_bad_access_token_does_not_close_the_link(token: str) -> None:
    client = APIClient(headers={"Authorization": "Bearer expired"})
    assert client.get(f"/api/v1/shared/{token}/").status_code == HTTPStatus.OK


def test_the_queries_do_not_grow_with_the_turns(
    conversation: Conversation, django_assert_max_num_queries: Any, known: Knowledge
) -> None:
    for _ in range(4):
        tell(conversation, "And?", citations=[span(known.version.pk)])
    token = share(conversation=conversation)[1]
    with django_assert_max_num_queries(6):
        opened(token)


def test_the_admin_lists_links_without_what_they_show(admin_client: Any, conversation: Conversation) -> None:
    row, _ = share(conversation=conversation)
    for path in ("/admin/sharing/share/", f"/admin/sharing/share/{row.pk}/change/"):
        page = admin_client.get(path)
        assert page.status_code == HTTPStatus.OK
        assert row.hash not in page.content.decode()
        assert "How long" not in page.content.decode()
