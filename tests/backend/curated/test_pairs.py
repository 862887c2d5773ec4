"""Pairs are kept, found as one's own only, and said by a document."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from agent_service.contract import Hit
from backend.bots.models import Bot
from backend.bots.services import create_bot
from backend.curated import publishing, services
from backend.curated.answers import cited, matching, still_said
from backend.curated.models import Book, Pair, Phrasing
from backend.documents.models import Chunk, Document, Kind, Page, State
from backend.documents.passages import live_passages
from backend.users.models import User
from tests.backend.conversations.scripted_agent import hit
from tests.backend.curated.conftest import ANSWER, QUESTION

pytestmark = pytest.mark.django_db

Read = Callable[[], Document]


@pytest.fixture
def client(owner: User, as_user: Callable[[User], APIClient]) -> APIClient:
    return as_user(owner)


def post(client: APIClient, bot: Bot, **fields: Any) -> Any:
    body = {"questions": [QUESTION], "answer": ANSWER, **fields}
    return client.post(f"/api/v1/bots/{bot.pk}/questions/", body)


def pages(document: Document) -> list[tuple[str, str]]:
    return [(page.label, page.text) for page in Page.objects.filter(version=document.version_id).order_by("number")]


def test_a_pair_is_made_shown_changed_and_deleted_over_the_api(client: APIClient, bot: Bot) -> None:
    made = post(client, bot, questions=["When  do you open?", QUESTION], link="https://shop.example/").json()
    assert (made["number"], made["questions"]) == (1, ["When do you open?", QUESTION])
    assert client.get(f"/api/v1/bots/{bot.pk}/questions/").json()["results"] == [made]
    path = f"/api/v1/questions/{made['id']}/"
    changed = client.patch(path, {"answer": "At ten.", "enabled": False}).json()
    assert (changed["answer"], changed["enabled"], changed["questions"]) == ("At ten.", False, made["questions"])
    assert client.delete(path).status_code == HTTPStatus.NO_CONTENT
    assert client.get(path).status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "fields",
    [
        {"questions": []},
        {"questions": ["?!"]},
        {"questions": ["x"] * 11},
        {"questions": ["x" * 501]},
        {"answer": " "},
        {"answer": "x" * 4001},
        {"link": "javascript:alert(1)"},
        {"link": "ftp://shop.example/"},
    ],
    ids=lambda fields: ascii(fields)[:40],
)
def test_what_is_no_pair_is_refused(client: APIClient, bot: Bot, fields: dict[str, Any]) -> None:
    assert post(client, bot, **fields).status_code == HTTPStatus.BAD_REQUEST
    assert not Document.objects.filter(kind=Kind.QUESTIONS).exists()


def test_one_question_has_one_answer_a_bot(client: APIClient, bot: Bot, pair: Pair, owner: User) -> None:
    refused = post(client, bot, questions=["Another", f"Hello, {QUESTION.upper()}"])
    assert (refused.status_code, refused.json()["code"]) == (HTTPStatus.CONFLICT, "duplicate_question")
    assert refused.json()["details"] == {"id": str(pair.pk), "question": QUESTION}
    assert post(client, create_bot(owner=owner, name="Other")).status_code == HTTPStatus.CREATED


def test_a_bot_has_so_many_pairs_and_no_more(client: APIClient, bot: Bot, pair: Pair, settings: Settings) -> None:
    settings.QUESTIONS_LIMIT = 2
    assert post(client, bot, questions=["Two?"]).status_code == HTTPStatus.CREATED
    assert post(client, bot, questions=["Three?"]).json()["code"] == "too_many_questions"


def test_numbers_are_never_given_twice(bot: Bot, pair: Pair) -> None:
    second = services.create_pair(bot=bot, questions=["Two?"], answer="2")
    services.delete_pair(pair=second)
    third = services.create_pair(bot=bot, questions=["Three?"], answer="3")
    assert (pair.number, second.number, third.number) == (1, 2, 3)


def test_the_document_says_the_pairs_one_a_page(bot: Bot, pair: Pair, read: Read) -> None:
    services.create_pair(bot=bot, questions=["Two?", "The second?"], answer="2")
    services.create_pair(bot=bot, questions=["Hidden?"], answer="3", enabled=False)
    document = read()
    assert (document.kind, document.format) == (Kind.QUESTIONS, "questions")
    assert pages(document) == [
        ("Question 1", f"{QUESTION}\n\n{ANSWER}"),
        ("Question 2", "Two?\nThe second?\n\n2"),
    ]
    assert Page.objects.get(version=document.version_id, number=1).link == pair.link


def test_many_changes_are_published_once(bot: Bot, pair: Pair, read: Read) -> None:
    for number in range(20):
        services.create_pair(bot=bot, questions=[f"Number {number}?"], answer=str(number))
    assert len(pages(read())) == 21
    assert Document.objects.get(pk=pair.book_id).version.number == 1  # type: ignore[union-attr]
    assert not publishing.publish(pair.book_id)


def test_what_no_job_published_the_sweeper_does(bot: Bot, pair: Pair, settings: Settings) -> None:
    assert publishing.publish_overdue() == 0
    Book.objects.update(updated_at="2020-01-01T00:00:00Z")
    assert publishing.publish_overdue() == 1
    assert publishing.publish_overdue() == 0


def test_with_the_last_pair_goes_the_document(pair: Pair) -> None:
    services.delete_pair(pair=pair)
    assert Document.objects.get(pk=pair.book_id).state == State.DELETING


def test_after_that_a_new_pair_begins_a_new_document(bot: Bot, pair: Pair) -> None:
    services.delete_pair(pair=pair)
    again = services.create_pair(bot=bot, questions=[QUESTION], answer=ANSWER)
    assert again.book_id != pair.book_id
    assert matching(QUESTION, bot=bot.pk).get() == again


def test_rows_of_the_document_take_those_of_its_pairs_with_them(pair: Pair) -> None:
    Document.objects.filter(pk=pair.book_id).delete()
    assert (Book.objects.count(), Pair.objects.count(), Phrasing.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize(
    "silence",
    [
        lambda pair: services.delete_pair(pair=pair),
        lambda pair: services.change_pair(pair=pair, changes={"enabled": False}),
        lambda pair: services.change_pair(pair=pair, changes={"questions": ["Else?"], "answer": "Else."}),
        lambda pair: Document.objects.filter(pk=pair.book_id).update(enabled=False),
        lambda pair: Document.objects.filter(pk=pair.book_id).update(state=State.DELETING),
    ],
    ids=["deleted", "disabled", "changed", "document disabled", "document deleting"],
)
def test_what_is_taken_back_answers_nothing_any_more_neither_as_a_pair_nor_as_a_passage(
    bot: Bot, pair: Pair, read: Read, silence: Callable[[Pair], Any]
) -> None:
    other = services.create_pair(bot=bot, questions=["Other?"], answer="Other.")
    read()
    found = [
        Hit(**hit(chunk.pk, chunk.document_id, chunk.version_id))
        for chunk in Chunk.objects.filter(document=pair.book_id)
    ]
    assert len(still_said(live_passages(bot=bot, hits=found))) == 2
    silence(pair)
    said = still_said(live_passages(bot=bot, hits=found))
    assert not matching(QUESTION, bot=bot.pk).exists()
    assert all(passage.label == other.written().label for passage in said)


def test_a_pair_of_another_bot_does_not_answer(bot: Bot, pair: Pair, owner: User, stranger: User) -> None:
    for foreign in (create_bot(owner=owner, name="Second"), create_bot(owner=stranger, name="Foreign")):
        assert not matching(QUESTION, bot=foreign.pk).exists()


def test_it_is_cited_where_it_stands_and_not_before_it_does(bot: Bot, pair: Pair, read: Read) -> None:
    assert cited(pair=pair) is None
    document = read()
    pair = Pair.objects.get(pk=pair.pk)
    passage = cited(pair=pair)
    assert passage is not None
    text = Page.objects.get(version=document.version_id, number=passage.page).text
    assert text[passage.start : passage.end] == ANSWER == passage.text
    assert (passage.label, passage.link) == ("Question 1", "https://shop.example/hours")
