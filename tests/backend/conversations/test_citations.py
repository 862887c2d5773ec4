"""A citation tells where it stands, by whom and since when, and keeps doing so when its source has changed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from rest_framework.test import APIClient

from backend.conversations.answers.quoting import span_of
from backend.conversations.models import Citation, Conversation
from backend.core.ids import uuid7
from backend.documents.models import Chunk, Document, DocumentVersion, Page, State, VersionState, chunk_id
from backend.documents.passages import LivePassage
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, QUOTE, Knowledge
from tests.backend.conversations.scripted_agent import ScriptedAgent, hit
from tests.backend.conversations.sse import events

ClientOf = Callable[[User], httpx.Client]
PLACE = {
    "label": "Post 7",
    "link": "https://t.me/moon/7",
    "author": "Selene",
    "dated": "2026-05-04T03:02:01Z",
    "heading": "Bodies > Moon",
}
NEW = "The moon is a rock. It orbits the earth every 27.3 days."


@pytest.fixture
def client(owner: User, client_of: ClientOf) -> httpx.Client:
    return client_of(owner)


@pytest.fixture(autouse=True)
def _placed(knowledge: Knowledge) -> None:
    dated = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    Page.objects.update(label="Post 7", link=PLACE["link"], author="Selene", dated=dated)
    Chunk.objects.update(heading=PLACE["heading"])
    Document.objects.update(link="https://moon.example/")


def ask(client: httpx.Client, conversation: Conversation, **headers: str) -> httpx.Response:
    url = f"conversations/{conversation.pk}/messages/"
    return client.post(url, json={"text": "How often?"}, headers=headers)


def cited(client: httpx.Client, answer_id: str) -> Any:
    (citation,) = client.get(f"answers/{answer_id}/").json()["citations"]
    opened = client.get(f"answers/{answer_id}/citations/1/").json()
    assert citation == {name: value for name, value in opened.items() if name != "page_text"}
    return opened


def serve_anew(knowledge: Knowledge, text: str, sha256: str) -> Chunk:
    """The document was read again: its next version serves, the one before keeps its pages."""
    old = knowledge.version
    fields = {name: getattr(old, name) for name in ("embedding", "chunk_chars", "chunk_overlap", "chunker_version")}
    version = DocumentVersion.objects.create(
        document=knowledge.document, number=2, state=VersionState.READY, sha256=sha256, normaliser_version=1,
        page_count=1, char_count=len(text), chunk_count=1, **fields,
    )  # fmt: skip
    Page.objects.create(version=version, number=1, label="Post 7", text=text)
    chunk = Chunk.objects.create(
        id=chunk_id(version.pk, 0), version=version, document=knowledge.document, bot=knowledge.bot, position=0,
        page=1, start=0, end=len(text), text=text, embedded=True,
    )  # fmt: skip
    Document.objects.update(version=version, sha256=sha256)
    DocumentVersion.objects.filter(pk=old.pk).update(state=VersionState.RETIRED)
    return chunk


def test_answer_stream_and_opened_citation_show_place_author_and_date(
    client: httpx.Client, conversation: Conversation
) -> None:
    named = dict(events(ask(client, conversation, accept="text/event-stream").text))
    (streamed,) = named["citations"]["citations"]
    opened = cited(client, named["meta"]["answer_id"])
    assert {name: opened.pop(name) for name in PLACE} == PLACE
    assert opened.pop("page_text") == PAGE
    assert {**opened, **PLACE} == streamed
    assert (opened["outdated"], opened["changed"]) == (False, False)


def test_search_shows_them_as_well(as_user: Callable[[User], APIClient], owner: User, knowledge: Knowledge) -> None:
    (found,) = as_user(owner).post(f"/api/v1/bots/{knowledge.bot.pk}/search/", {"query": "moon"}).json()["passages"]
    assert {name: found[name] for name in PLACE} == PLACE
    assert not found["changed"]


def test_a_page_without_a_link_has_its_documents(client: httpx.Client, conversation: Conversation) -> None:
    Page.objects.update(link="")
    assert cited(client, ask(client, conversation).json()["id"])["link"] == "https://moon.example/"


@pytest.mark.parametrize(("sha256", "changed"), [("0" * 64, False), ("1" * 64, True)], ids=["same", "another"])
def test_an_old_citation_opens_its_own_text_and_says_whether_the_source_has_changed(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, sha256: str, changed: bool
) -> None:
    answer = ask(client, conversation).json()
    serve_anew(knowledge, NEW, sha256)
    opened = cited(client, answer["id"])
    assert (opened["page_text"], opened["quote"], opened["version"]) == (PAGE, QUOTE, 1)
    assert (opened["outdated"], opened["changed"]) == (True, changed)
    assert {name: opened[name] for name in PLACE} == PLACE


def test_a_quote_stands_under_the_heading_above_it_and_not_above_its_passage() -> None:
    text = "## Moon\nIt is a rock.\n## Mars\nIt is red."
    passage = LivePassage(
        chunk_id=uuid7(), document_id=uuid7(), document_title="", version_id=uuid7(), version_number=1, page=1,
        start=0, end=len(text), text=text, score=1.0, heading="Bodies > Moon",
    )  # fmt: skip
    place = text.index("It is red.")
    assert span_of(1, passage, place, len(text), 1.0).heading == "Bodies > Mars"


def test_the_heading_outlives_the_passages_of_a_retired_version(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge
) -> None:
    answer = ask(client, conversation).json()
    serve_anew(knowledge, NEW, "1" * 64)
    Chunk.objects.filter(version=knowledge.version).delete()
    assert cited(client, answer["id"])["heading"] == PLACE["heading"]


def test_while_new_content_is_still_read_the_old_serves_and_says_that_it_has_changed(
    client: httpx.Client, conversation: Conversation
) -> None:
    Document.objects.update(sha256="1" * 64, state=State.QUEUED)
    named = dict(events(ask(client, conversation, accept="text/event-stream").text))
    (streamed,) = named["citations"]["citations"]
    assert (streamed["outdated"], streamed["changed"]) == (False, True)
    opened = cited(client, named["meta"]["answer_id"])
    assert (opened["outdated"], opened["changed"]) == (False, True)


def test_of_a_document_that_is_going_nothing_is_shown_but_that_it_was_cited(
    client: httpx.Client, conversation: Conversation
) -> None:
    answer = ask(client, conversation).json()
    Document.objects.update(state=State.DELETING)
    opened = cited(client, answer["id"])
    shown = [opened[name] for name in ("quote", "page_text", "label", "link", "author", "dated", "heading")]
    assert shown == [None] * 7
    Document.objects.update(version=None, state=State.FAILED)
    DocumentVersion.objects.all().delete()
    assert Citation.objects.get().heading == ""
    opened = cited(client, answer["id"])
    assert (opened["document"], opened["quote"], opened["outdated"], opened["changed"]) == (None, None, True, False)
    assert Citation.objects.count() == 1


def test_one_answer_is_never_made_from_two_versions(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    """R16. The store may still know the vectors of both."""
    new = serve_anew(knowledge, NEW, "1" * 64)
    agent.hits.append(hit(new.pk, new.document_id, new.version_id, 0.5))
    agent.answer("Every 27 days.")
    ask(client, conversation)
    assert [passage["text"] for passage in agent.chats[-1]["passages"]] == [NEW]
