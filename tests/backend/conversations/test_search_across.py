"""POST /search/"""

import hashlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from agent_service import contract
from backend.bots.models import Bot, Visibility
from backend.bots.services import create_bot
from backend.conversations.models import Answer, Conversation, Origin
from backend.conversations.passages import across
from backend.conversations.services import create_conversation
from backend.credits.models import Entry
from backend.documents.models import Document, State
from backend.sources.models import Item, Source
from backend.users.models import User
from tests.backend.conversations.conftest import SERVICE_KEY
from tests.backend.conversations.library import EMBEDDING, Book, write
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

AsUser = Callable[[User], APIClient]
URL = "/api/v1/search/"
QUESTION = {"query": "Which word opens the vault?"}


@pytest.fixture(autouse=True)
def nothing_remembered(settings: Settings) -> Iterator[None]:
    settings.SEARCH_PUBLIC_SECONDS = 0
    across.public.forget()
    across._told.clear()
    yield
    across.public.forget()


def library(owner: User, name: str, visibility: str = Visibility.PRIVATE, **fields: Any) -> Book:
    bot = create_bot(owner=owner, name=name, visibility=visibility)
    Bot.objects.filter(pk=bot.pk).update(**({"embedding": EMBEDDING} | fields))
    bot.refresh_from_db()
    return write(bot, [[f"The vault of {name}."]], title=f"On {name}")


def searched(agent: ScriptedAgent) -> set[str]:
    """The names of all namespaces that the agent was last asked for."""
    return {name for told in agent.sets[-1] for name in agent.names[told["sha256"]]}


def namespaces(*books: Book) -> set[str]:
    return {book.document.bot.namespace for book in books}


@pytest.fixture
def books(owner: User, stranger: User, agent: ScriptedAgent) -> dict[str, Book]:
    """What the owner has and what a stranger has; the agent gives them all."""
    found = {f"my {visibility}": library(owner, f"my {visibility}", visibility) for visibility in Visibility.values}
    found |= {
        f"their {visibility}": library(stranger, f"their {visibility}", visibility) for visibility in Visibility.values
    }
    agent.hits = [hit for book in found.values() for hit in book.hits()]
    return found


def names(response: Any) -> set[str]:
    assert response.status_code == HTTPStatus.OK, response.content
    return {passage["bot"]["name"] for passage in response.json()["passages"]}


def test_anonymous(agent: ScriptedAgent) -> None:
    assert APIClient().post(URL, QUESTION).status_code == HTTPStatus.UNAUTHORIZED


def test_what_is_mine_and_what_is_public(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    visible = {"my private", "my unlisted", "my public", "their public"}
    assert names(as_user(owner).post(URL, QUESTION)) == visible
    assert searched(agent) == namespaces(*(books[name] for name in visible))


def test_an_unlisted_bot_that_i_have_talked_with(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    create_conversation(user=owner, bot_id=books["their unlisted"].document.bot_id)
    assert "their unlisted" in names(as_user(owner).post(URL, QUESTION))


def test_one_that_has_gone_private_since_i_talked_with_it_is_not_shown(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    bot = books["their unlisted"].document.bot
    create_conversation(user=owner, bot_id=bot.pk)
    Bot.objects.filter(pk=bot.pk).update(visibility=Visibility.PRIVATE)
    assert "their unlisted" not in names(as_user(owner).post(URL, QUESTION))
    assert bot.namespace not in searched(agent)


def test_one_that_has_gone_private_is_not_shown_while_its_name_is_still_remembered(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent, settings: Settings
) -> None:
    settings.SEARCH_PUBLIC_SECONDS = 3600
    as_user(owner).post(URL, QUESTION)
    bot = books["their public"].document.bot
    Bot.objects.filter(pk=bot.pk).update(visibility=Visibility.PRIVATE)
    assert "their public" not in names(as_user(owner).post(URL, QUESTION))
    assert bot.namespace in searched(agent)


@pytest.mark.parametrize("what", ["bot deleted", "owner suspended", "document disabled", "document deleting"])
def test_what_is_gone_is_not_shown(
    as_user: AsUser, owner: User, stranger: User, books: dict[str, Book], agent: ScriptedAgent, what: str
) -> None:
    document = books["their public"].document
    match what:
        case "bot deleted":
            Bot.objects.filter(pk=document.bot_id).update(deleted_at="2026-01-01T00:00:00Z")
        case "owner suspended":
            User.objects.filter(pk=stranger.pk).update(is_active=False)
        case "document disabled":
            Document.objects.filter(pk=document.pk).update(enabled=False)
        case _:
            Document.objects.filter(pk=document.pk).update(state=State.DELETING)
    assert "their public" not in names(as_user(owner).post(URL, QUESTION))


def test_a_passage_says_where_it_stands(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    book = library(owner, "mine")
    agent.hits = book.hits()
    (passage,) = as_user(owner).post(URL, QUESTION).json()["passages"]
    assert passage["bot"] == {"id": str(book.document.bot_id), "name": "mine"}
    assert (passage["document"]["title"], passage["text"]) == ("On mine", "The vault of mine.")


def test_only_the_bots_that_are_named(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    wanted = [books[name].document.bot_id for name in ("my private", "their public", "their private")]
    body = QUESTION | {"bots": [str(one) for one in (*wanted, uuid4())]}
    assert names(as_user(owner).post(URL, body, format="json")) == {"my private", "their public"}
    assert searched(agent) == namespaces(books["my private"], books["their public"])


def test_a_foreign_bot_and_one_that_never_was_give_the_same(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    answers = [
        as_user(owner).post(URL, QUESTION | {"bots": [str(one)]}, format="json")
        for one in (books["their private"].document.bot_id, uuid4())
    ]
    assert answers[0].content == answers[1].content
    assert (answers[0].json()["passages"], agent.retrievals) == ([], [])


def test_a_foreign_document_in_the_filters_finds_nothing(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    for document in (books["their private"].document.pk, uuid4()):
        body = QUESTION | {"filters": {"documents": [str(document)]}}
        assert names(as_user(owner).post(URL, body, format="json")) == set()
    assert agent.retrievals == []


@pytest.mark.parametrize("whose", ["their private", "their public"])
@pytest.mark.parametrize("where", ["across", "in the public bot", "in a bot of mine"])
def test_a_foreign_source_in_the_filters_is_as_one_that_never_was(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent, whose: str, where: str
) -> None:
    """Of a public bot, too: what its documents say is for all, where its owner has them from is not."""
    document = books[whose].document
    source = Source.objects.create(bot=document.bot, kind="page", title="S", identity="i" * 64, configuration={})
    Item.objects.create(source=source, external_id="1", document=document)
    bots = {"in the public bot": "their public", "in a bot of mine": "my private"}
    url = f"/api/v1/bots/{books[bots[where]].document.bot_id}/search/" if where in bots else URL
    foreign, never = (
        as_user(owner).post(url, QUESTION | {"filters": {"sources": [str(one)]}}, format="json")
        for one in (source.pk, uuid4())
    )
    assert (foreign.status_code, foreign.content) == (never.status_code, never.content)
    assert (foreign.json()["passages"], agent.retrievals) == ([], [])


def test_filters_reach_over_all_bots(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    wanted = [books["my private"].document, books["their public"].document]
    body = QUESTION | {"filters": {"documents": [str(one.pk) for one in wanted]}}
    as_user(owner).post(URL, body, format="json")
    assert set(agent.retrievals[0]["documents"]) == {str(one.pk) for one in wanted}


def test_it_costs_nothing(as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent) -> None:
    as_user(owner).post(URL, QUESTION)
    assert not Entry.objects.filter(account__user=owner, kind="hold").exists()
    assert agent.chats == []


def test_searches_of_all_kinds_are_limited_together(
    as_user: AsUser, owner: User, stranger: User, books: dict[str, Book], settings: Settings
) -> None:
    settings.CHAT_LIMIT_PER_MINUTE = 2
    in_one = f"/api/v1/bots/{books['their public'].document.bot_id}/search/"
    responses = [as_user(owner).post(url, QUESTION) for url in (URL, in_one, URL, in_one, URL)]
    refused = [response for response in responses if response.status_code == HTTPStatus.TOO_MANY_REQUESTS]
    assert len(refused) >= 1
    assert all(response.status_code == HTTPStatus.OK for response in responses[:2])
    assert refused[-1].json()["code"] == "too_many_requests"
    assert 1 <= int(refused[-1]["Retry-After"]) <= 60
    assert as_user(stranger).post(URL, QUESTION).status_code == HTTPStatus.OK


def test_where_there_is_nothing_to_search(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    response = as_user(owner).post(URL, QUESTION)
    assert (response.json()["passages"], response.json()["notes"]) == ([], ["nothing_to_search"])


def test_the_token_is_bound_to_the_sets_and_to_no_single_namespace(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent
) -> None:
    as_user(owner).post(URL, QUESTION)
    claims = jwt.decode(agent.tokens[-1], SERVICE_KEY, ["HS256"], audience=contract.TOKEN_AUDIENCE)
    shas = "\n".join(told["sha256"] for told in agent.sets[-1])
    assert claims["namespaces_sha256"] == hashlib.sha256(shas.encode()).hexdigest()
    assert (claims["namespace"], claims["user"]) == (None, str(owner.pk))


def test_two_embeddings_are_two_sets(as_user: AsUser, owner: User, stranger: User, agent: ScriptedAgent) -> None:
    for number, embedding in enumerate(["local:wordllama:256", "local:wordllama:128", "local:wordllama:256"]):
        library(stranger, f"bot {number}", Visibility.PUBLIC, embedding=embedding)
    as_user(owner).post(URL, QUESTION)
    assert [(told["embedding"], len(told["names"])) for told in agent.sets[-1]] == [
        ("local:wordllama:256", 2),
        ("local:wordllama:128", 1),
    ]


def test_a_large_set_is_told_once_and_again_where_the_agent_has_forgotten(
    as_user: AsUser, owner: User, books: dict[str, Book], agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(across, "NAMES_SENT", 0)
    told = []
    for forgets in (False, False, True):
        if forgets:
            agent.names.clear()
        before = len(agent.sets)
        assert names(as_user(owner).post(URL, QUESTION))
        told.append([one[0]["names"] is not None for one in agent.sets[before:]])
    assert told == [[True], [False], [False, True]]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": " "},
        {"query": "x", "mode": "both"},
        {"query": "x", "limit": 21},
        {"query": "x", "bots": "all"},
        {"query": "x", "bots": ["x"]},
        {"query": "x", "filters": {"dated_from": "2020-02-30"}},
        {"query": "x", "filters": {"dated": "2020"}},
        {"query": "x", "filters": {"dated_from": "2020-02-02", "dated_to": "2020-01-01"}},
        {"query": "x", "filters": {"documents": ["x"]}},
    ],
)
def test_what_cannot_be_asked(as_user: AsUser, owner: User, agent: ScriptedAgent, body: dict[str, Any]) -> None:
    assert as_user(owner).post(URL, body, format="json").status_code == HTTPStatus.BAD_REQUEST


def test_one_answer_over_all_of_it(
    owner: User, client_of: Callable[[User], httpx.Client], books: dict[str, Book], agent: ScriptedAgent
) -> None:
    chunk = books["their public"].chunks[0]
    agent.hits = books["their public"].hits()
    cited = {"marker": 1, "passage": str(chunk.pk), "start": 0, "end": 9, "quote": chunk.text[:9], "score": 0.8}
    agent.answer("A word [1].", citations=[cited])
    response = client_of(owner).post("search/", json=QUESTION | {"mode": "chat"})
    assert response.status_code == HTTPStatus.CREATED, response.text
    answer = response.json()
    assert (answer["text"], answer["citations"][0]["quote"]) == ("A word [1].", "The vault")
    conversation = Conversation.objects.get(pk=answer["conversation"])
    assert (conversation.bot, conversation.origin, conversation.user_id) == (None, Origin.SEARCH, owner.pk)
    assert Answer.objects.get().charged == Entry.objects.get(kind="settle").spent_delta


def test_citations_across_bots_name_their_bots(
    owner: User, client_of: Callable[[User], httpx.Client], books: dict[str, Book], agent: ScriptedAgent
) -> None:
    """Streamed, stored, opened, exported and in the receipt."""
    cited = [books["my private"], books["their public"]]
    agent.hits = [hit for book in cited for hit in book.hits()]
    places = [(n, str(book.chunks[0].pk)) for n, book in enumerate(cited, start=1)]
    quote = {"start": 0, "end": 9, "quote": "The vault", "score": 0.8}
    agent.answer("A word [1][2].", citations=[{"marker": n, "passage": chunk} | quote for n, chunk in places])
    bots = [{"id": str(book.document.bot_id), "name": book.document.bot.name} for book in cited]
    client = client_of(owner)
    response = client.post("search/", json=QUESTION | {"mode": "chat"}, headers={"Accept": "text/event-stream"})
    told = dict(events(response.text))
    answer_id, conversation = told["meta"]["answer_id"], told["meta"]["conversation_id"]
    assert [citation["bot"] for citation in told["citations"]["citations"]] == bots
    stored = client.get(f"answers/{answer_id}/").json()
    assert stored["citations"] == told["citations"]["citations"]
    assert client.get(f"answers/{answer_id}/citations/2/").json()["bot"] == bots[1]
    receipt = client.get(f"answers/{answer_id}/receipt/").json()
    assert [passage["bot"] for passage in receipt["passages"]] == [bot["id"] for bot in bots]
    exported = client.get(f"conversations/{conversation}/export/?as=markdown").text
    assert "[1] my private, On my private" in exported
    assert "[2] their public, On their public" in exported
    Bot.objects.filter(pk=cited[1].document.bot_id).update(visibility=Visibility.PRIVATE, name="Renamed in private")
    reloaded = client.get(f"answers/{answer_id}/").json()["citations"]
    assert [citation["bot"] for citation in reloaded] == [bots[0], {"id": bots[1]["id"], "name": None}]
    assert "Renamed" not in client.get(f"conversations/{conversation}/export/?as=json").text


def test_it_is_streamed_and_repeated_as_any_other(
    owner: User, client_of: Callable[[User], httpx.Client], books: dict[str, Book], agent: ScriptedAgent
) -> None:
    agent.hits = books["my private"].hits()
    client, headers = client_of(owner), {"Accept": "text/event-stream", "Idempotency-Key": uuid4().hex}
    first = client.post("search/", json=QUESTION | {"mode": "chat"}, headers=headers)
    shown = [name for name, _ in events(first.text)]
    assert (shown[0], shown[-1]) == ("meta", "done")
    again = client.post("search/", json=QUESTION | {"mode": "chat"}, headers=headers)
    assert [name for name, _ in events(again.text)][-1] == "done"
    assert Answer.objects.count() == len(agent.chats) == 1


def test_the_next_question_goes_on_across(
    owner: User, client_of: Callable[[User], httpx.Client], books: dict[str, Book], agent: ScriptedAgent
) -> None:
    agent.hits = books["my private"].hits()
    client = client_of(owner)
    conversation = client.post("search/", json=QUESTION | {"mode": "chat"}).json()["conversation"]
    response = client.post(f"conversations/{conversation}/messages/", json={"text": "And the other?"})
    assert response.status_code == HTTPStatus.CREATED, response.text
    assert len(agent.sets) == 2
    assert agent.retrievals[1]["history"][0]["text"] == QUESTION["query"]
    assert len(agent.chats[1]["passages"]) == 1


def test_a_foreign_source_in_the_filters_of_a_message_finds_nothing(
    owner: User, client_of: Callable[[User], httpx.Client], books: dict[str, Book], agent: ScriptedAgent
) -> None:
    document = books["their public"].document
    source = Source.objects.create(bot=document.bot, kind="page", title="S", identity="i" * 64, configuration={})
    Item.objects.create(source=source, external_id="1", document=document)
    conversation = create_conversation(user=owner, bot_id=document.bot_id)
    body = {"text": "Which word?", "filters": {"sources": [str(source.pk)]}}
    response = client_of(owner).post(f"conversations/{conversation.pk}/messages/", json=body)
    assert response.status_code == HTTPStatus.CREATED, response.text
    assert (agent.retrievals, agent.chats[0]["passages"]) == ([], [])


def test_filters_of_a_message_reach_the_search(
    owner: User, client_of: Callable[[User], httpx.Client], books: dict[str, Book], agent: ScriptedAgent
) -> None:
    book = books["my private"]
    conversation = create_conversation(user=owner, bot_id=book.document.bot_id)
    body = {"text": "Which word?", "filters": {"documents": [str(book.document.pk)]}}
    response = client_of(owner).post(f"conversations/{conversation.pk}/messages/", json=body)
    assert response.status_code == HTTPStatus.CREATED, response.text
    assert agent.retrievals[0]["documents"] == [str(book.document.pk)]


def test_where_the_search_fails_nothing_is_charged(
    owner: User, client_of: Callable[[User], httpx.Client], books: dict[str, Book], agent: ScriptedAgent
) -> None:
    client = client_of(owner)
    client.post("search/", json=QUESTION | {"mode": "chat"})
    spent = client.get("credits/").json()
    refusal = {"code": "overloaded", "message": "No.", "retryable": True, "details": {}, "request_id": "-"}
    agent.retrieval_refusal = (HTTPStatus.SERVICE_UNAVAILABLE, refusal)
    assert client.post("search/", json=QUESTION | {"mode": "chat"}).status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert client.get("credits/").json() == spent
