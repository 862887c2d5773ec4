"""A conversation as a file."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.bots.services import create_bot
from backend.conversations.models import Conversation
from backend.conversations.services import create_conversation
from backend.documents.models import Document, Page, State
from backend.documents.services import delete_document
from backend.sharing.exporting import GONE
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge, know
from tests.backend.conversations.told import span, tell, tell_again

AsUser = Callable[[User], APIClient]


@pytest.fixture
def known(owner: User) -> Knowledge:
    return know(create_bot(owner=owner, name="Moon bot"))


@pytest.fixture
def conversation(owner: User, known: Knowledge) -> Conversation:
    conversation = create_conversation(user=owner, bot_id=known.bot.pk, title="Moon")
    tell(conversation, "How long?", citations=[span(known.version.pk)])
    return conversation


@pytest.fixture
def exported(as_user: AsUser, owner: User, conversation: Conversation) -> Callable[..., Any]:
    def get(kind: str) -> Any:
        return as_user(owner).get(f"/api/v1/conversations/{conversation.pk}/export/", {"as": kind})

    return get


@pytest.mark.parametrize(
    ("kind", "media_type", "ending"),
    [("markdown", "text/markdown", "md"), ("text", "text/plain", "txt"), ("json", "application/json", "json")],
)
def test_it_comes_as_an_attachment(exported: Any, kind: str, media_type: str, ending: str) -> None:
    response = exported(kind)
    assert response.status_code == HTTPStatus.OK
    assert response["Content-Type"] == f"{media_type}; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="conversation-')
    assert response["Content-Disposition"].endswith(f'.{ending}"')
    assert (response["X-Content-Type-Options"], response["Cache-Control"]) == ("nosniff", "no-store")


def test_a_kind_there_is_not_is_refused_under_the_name_it_was_asked_by(exported: Any) -> None:
    refused = exported("pdf")
    assert (refused.status_code, list(refused.json()["details"]["fields"])) == (HTTPStatus.BAD_REQUEST, ["as"])


def test_markdown_numbers_its_sources(exported: Any) -> None:
    said = exported("markdown").content.decode()
    assert said.startswith("# Moon\n\nMoon bot, ")
    assert said.endswith("\n\n> How long?\n\nEvery 27 days [1].\n\n- [1] Moon, Page 1: “The moon i”\n")


def test_plain_text_names_a_source_at_its_place(exported: Any, known: Knowledge) -> None:
    assert "Every 27 days (source: Moon, Page 1)." in exported("text").content.decode()
    Page.objects.update(link="https://example.com/moon")
    assert "Every 27 days (source: https://example.com/moon)." in exported("text").content.decode()


def test_a_marker_without_a_source_stays(exported: Any, conversation: Conversation) -> None:
    tell(conversation, "Really?", text="Yes [2], as the list says: a[12].")
    assert "Yes [2], as the list says: a[12]." in exported("text").content.decode()


def test_json_has_every_answer(exported: Any, conversation: Conversation) -> None:
    tell_again(conversation.messages.get(), text="Once a month.")
    exported_ = exported("json").json()
    assert exported_["conversation"]["id"] == str(conversation.pk)
    (message,) = exported_["messages"]
    assert [answer["text"] for answer in message["answers"]] == ["Every 27 days [1].", "Once a month."]
    assert message["answers"][0]["citations"][0]["quote"] == "The moon i"


def test_the_newest_answer_is_the_one_in_markdown(exported: Any, conversation: Conversation) -> None:
    tell_again(conversation.messages.get(), text="Once a month.")
    assert "27 days" not in exported("markdown").content.decode()


@pytest.mark.parametrize("kind", ["markdown", "text", "json"])
def test_a_deleted_documents_words_are_not_in_it(exported: Any, known: Knowledge, kind: str) -> None:
    delete_document(document=known.document)
    said = exported(kind)
    assert said.status_code == HTTPStatus.OK
    assert "The moon i" not in said.content.decode()
    assert "Moon, Page" not in said.content.decode()


def test_a_source_that_is_gone_says_so(exported: Any, known: Knowledge) -> None:
    Document.objects.update(state=State.DELETING, version=None)
    known.version.delete()
    assert f"- [1] {GONE}\n" in exported("markdown").content.decode()
    assert f"Every 27 days (source: {GONE})." in exported("text").content.decode()


def test_turns_come_in_the_order_they_were_said(exported: Any, conversation: Conversation) -> None:
    tell(conversation, "And where to?")
    for kind in ("markdown", "text", "json"):
        said = exported(kind).content.decode()
        assert 0 < said.index("How long?") < said.index("And where to?")


def test_titles_and_questions_are_no_markup(exported: Any, conversation: Conversation, known: Knowledge) -> None:
    Conversation.objects.update(title="# <img src=x> [a](javascript:b)\n- c")
    Document.objects.update(title="](http://evil) ![x](http://evil) <b>")
    tell(conversation, "> # <script>\n![x](http://evil)", citations=[span(known.version.pk)])
    said = exported("markdown").content.decode()
    assert said.startswith("# \\# \\<img src=x\\> \\[a\\](javascript:b) - c\n")
    assert "> \\> \\# \\<script\\>\n> !\\[x\\](http://evil)" in said
    assert "- [1] \\](http://evil) !\\[x\\](http://evil) \\<b\\>, Page 1:" in said


def test_an_unknown_kind_is_refused(exported: Any) -> None:
    assert exported("docx").json()["code"] == "invalid"


def test_somebody_elses_is_not_found(as_user: AsUser, stranger: User, conversation: Conversation) -> None:
    response = as_user(stranger).get(f"/api/v1/conversations/{conversation.pk}/export/")
    assert response.status_code == HTTPStatus.NOT_FOUND


def test_a_talk_with_all_bots_can_be_exported(exported: Any, conversation: Conversation) -> None:
    Conversation.objects.update(bot=None)
    for kind in ("markdown", "text", "json"):
        assert exported(kind).status_code == HTTPStatus.OK
