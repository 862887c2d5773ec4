"""However a turn ends, it ends once, its row says how, and its hold is settled."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from http import HTTPStatus

import httpx
import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from backend.conversations.answers import endings
from backend.conversations.answers import running as registry
from backend.conversations.models import Answer, AnswerState, Conversation
from backend.conversations.services import ask as open_turn
from backend.credits import services as ledger
from backend.credits.models import Entry
from backend.documents.models import Document, State
from backend.users.models import User
from backend.webhooks.models import Delivery, Endpoint
from tests.backend.conversations.conftest import PAGE, Knowledge, wait_for
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

ClientOf = Callable[[User], httpx.Client]
MORE: list[str | float] = [0.05, " more"]
LONG = ["Every 27 days [1]", *MORE * 200]


@pytest.fixture
def client(owner: User, client_of: ClientOf) -> httpx.Client:
    return client_of(owner)


@pytest.fixture(autouse=True)
def _quick(settings: Settings) -> None:
    settings.TURN_HEARTBEAT = timedelta(seconds=0.1)
    settings.TURN_ABANDON_GRACE = timedelta(seconds=0.2)


def ask_for_stream(client: httpx.Client, conversation: Conversation) -> AbstractContextManager[httpx.Response]:
    url = f"conversations/{conversation.pk}/messages/"
    return client.stream("POST", url, json={"text": "How often?"}, headers={"accept": "text/event-stream"})


def ended() -> bool:
    return not Answer.objects.filter(state=AnswerState.STREAMING).exists()


def settled_once(owner: User) -> bool:
    account = ledger.account_for(owner)
    entries = Entry.objects.filter(account=account)
    return account.reserved == 0 and all(hold.settlements.count() == 1 for hold in entries.filter(kind="hold"))


def read_until(lines: Iterator[str], wanted: str) -> None:
    for line in lines:
        if wanted in line:
            return


def test_stop_keeps_what_was_shown_and_charges_it(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.steps = LONG
    with ask_for_stream(client, conversation) as response:
        lines = response.iter_lines()
        read_until(lines, "27 days")
        answer = Answer.objects.get()
        assert client.post(f"answers/{answer.pk}/stop/").status_code == HTTPStatus.ACCEPTED
        named = events("\n".join(lines))
    assert named[-1] == ("done", {"state": "stopped", "finish_reason": ""})
    answer.refresh_from_db()
    assert (answer.state, answer.charged) == (AnswerState.STOPPED, 1)
    assert answer.text.startswith("Every 27 days [1]")
    assert settled_once(owner)


def test_a_stopped_answers_marker_opens_its_passage(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.steps = LONG
    with ask_for_stream(client, conversation) as response:
        lines = response.iter_lines()
        read_until(lines, "27 days")
        client.post(f"answers/{Answer.objects.get().pk}/stop/")
    wait_for(ended)
    (citation,) = client.get(f"answers/{Answer.objects.get().pk}/").json()["citations"]
    assert (citation["marker"], citation["quote"]) == (1, PAGE)


def test_a_stop_asked_in_another_process_is_obeyed(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.steps = LONG
    with ask_for_stream(client, conversation) as response:
        lines = response.iter_lines()
        read_until(lines, "27 days")
        Answer.objects.update(stop_requested=True)
        wait_for(ended, 3)
        assert events("\n".join(lines))[-1] == ("done", {"state": "stopped", "finish_reason": ""})
    assert Answer.objects.get().state == AnswerState.STOPPED


def test_leaving_after_the_first_word_closes_the_agents_stream_and_charges_what_was_shown(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.steps = LONG
    with ask_for_stream(client, conversation) as response:
        read_until(response.iter_lines(), "27 days")
    wait_for(lambda: agent.released == 1, 5)
    wait_for(ended)
    answer = Answer.objects.get()
    assert (answer.state, answer.charged) == (AnswerState.STOPPED, 1)
    assert settled_once(owner)


def test_leaving_before_the_first_word_costs_nothing(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.steps = [30]
    before = ledger.account_for(owner).available
    with ask_for_stream(client, conversation) as response:
        read_until(response.iter_lines(), "event: meta")
        wait_for(lambda: agent.open_streams == 1)
    wait_for(lambda: agent.released == 1, 5)
    wait_for(ended)
    assert (Answer.objects.get().charged, ledger.account_for(owner).available) == (0, before)


def test_a_reload_within_the_grace_finds_the_running_answer(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.TURN_ABANDON_GRACE = timedelta(seconds=3)
    agent.answer("Every 27 days", *MORE * 10)
    with ask_for_stream(client, conversation) as response:
        read_until(response.iter_lines(), "27 days")
    answer = Answer.objects.get()
    named = events(client.get(f"answers/{answer.pk}/events/").text)
    assert "".join(data["text"] for name, data in named if name == "delta") == "Every 27 days" + " more" * 10
    assert named[-1][0] == "done"


def test_attaching_with_the_last_event_id_continues_there(client: httpx.Client, conversation: Conversation) -> None:
    with ask_for_stream(client, conversation) as response:
        meta = events(response.read().decode())[0][1]
    url = f"answers/{meta['answer_id']}/events/"
    for resumed in (client.get(url, headers={"last-event-id": "6"}), client.get(url, params={"after": 6})):
        named = events(resumed.text)
        assert [data["text"] for name, data in named if name == "delta"] == ["27 days [1]."]
        assert named[-1][0] == "done"


def test_attaching_where_the_turn_runs_in_another_process_follows_its_row(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    opened = open_turn(user=owner, conversation_id=conversation.pk, text="How often?")
    answer = opened.answer  # type: ignore[union-attr]
    endings.renew_leases(texts={answer.pk: "Every 27"})
    with client.stream("GET", f"answers/{answer.pk}/events/") as response:
        lines = response.iter_lines()
        read_until(lines, "Every 27")
        done = endings.Outcome(state=AnswerState.DONE, text="Every 27 days.", cost=1, finish_reason="stop")
        endings.finish_turn(answer_id=answer.pk, outcome=done)
        named = events("\n".join(lines))
    assert [data.get("text") for name, data in named if name == "delta"] == [" days."]
    assert named[-1] == ("done", {"state": "done", "finish_reason": "stop"})


def test_a_conversation_has_one_running_answer(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.steps = LONG
    with ask_for_stream(client, conversation) as response:
        lines = response.iter_lines()  # kept: without its reader the answer would be stopped
        read_until(lines, "27 days")
        second = client.post(f"conversations/{conversation.pk}/messages/", json={"text": "And?"})
        assert (second.status_code, second.json()["code"]) == (HTTPStatus.CONFLICT, "answer_in_progress")


def test_deleting_the_conversation_ends_its_answer_uncharged(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.steps = LONG
    with ask_for_stream(client, conversation) as response:
        lines = response.iter_lines()
        read_until(lines, "27 days")
        assert client.delete(f"conversations/{conversation.pk}/").status_code == HTTPStatus.NO_CONTENT
        assert events("\n".join(lines))[-1][0] == "error"
    assert settled_once(owner)
    assert not Answer.objects.exists()


def test_suspending_the_asker_ends_the_stream(
    client: httpx.Client, conversation: Conversation, owner: User, agent: ScriptedAgent
) -> None:
    agent.steps = LONG
    with ask_for_stream(client, conversation) as response:
        lines = response.iter_lines()
        read_until(lines, "27 days")
        User.objects.filter(pk=owner.pk).update(is_active=False)
        started = time.monotonic()
        assert events("\n".join(lines))[-1][1]["code"] == "interrupted"
    assert time.monotonic() - started < 5


def test_the_sweeper_ends_a_turn_whose_process_died(owner: User, conversation: Conversation) -> None:
    open_turn(user=owner, conversation_id=conversation.pk, text="How often?")
    assert endings.sweep_turns() == 0
    Answer.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert endings.sweep_turns() == 1
    answer = Answer.objects.get()
    assert (answer.state, answer.error_code, answer.charged) == (AnswerState.FAILED, "interrupted", 0)
    assert settled_once(owner)


def test_a_turn_swept_meanwhile_is_not_finished_again(owner: User, conversation: Conversation) -> None:
    opened = open_turn(user=owner, conversation_id=conversation.pk, text="How often?")
    Answer.objects.update(lease_until=Now() - timedelta(seconds=1))
    endings.sweep_turns()
    done = endings.Outcome(state=AnswerState.DONE, text="Late.", cost=1)
    assert endings.finish_turn(answer_id=opened.answer.pk, outcome=done) is None  # type: ignore[union-attr]
    answer = Answer.objects.get()
    assert (answer.state, answer.text, answer.charged) == (AnswerState.FAILED, "", 0)


def test_a_turn_that_leaves_little_ends_as_any_other_and_its_asker_is_told(
    owner: User, conversation: Conversation, settings: Settings
) -> None:
    Endpoint.objects.create(owner=owner, url="https://x.example/", events=["balance.low"])
    settings.LOW_BALANCE = ledger.account_for(owner).available
    opened = open_turn(user=owner, conversation_id=conversation.pk, text="How often?")
    done = endings.Outcome(state=AnswerState.DONE, text="Every 27 days.", cost=1)
    assert endings.finish_turn(answer_id=opened.answer.pk, outcome=done) == 1  # type: ignore[union-attr]
    assert Answer.objects.get().state == AnswerState.DONE
    assert settled_once(owner)
    assert Delivery.objects.get().data["available"] == settings.LOW_BALANCE - 1


def test_a_running_turn_keeps_its_lease_and_saves_what_was_shown(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.TURN_LEASE = timedelta(seconds=0.5)
    agent.answer("Every 27 days", 1.2, ".")
    with ask_for_stream(client, conversation) as response:
        lines = response.iter_lines()
        read_until(lines, "27 days")
        time.sleep(0.8)
        assert endings.sweep_turns() == 0
        assert client.get(f"answers/{Answer.objects.get().pk}/").json()["text"] == "Every 27 days"
        assert events("\n".join(lines))[-1][0] == "done"


def test_heartbeats_keep_an_idle_stream_open(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.STREAM_HEARTBEAT = timedelta(seconds=0.1)
    agent.answer(0.5, "Late.")
    with ask_for_stream(client, conversation) as response:
        assert response.read().decode().count(": still here") >= 3


def test_a_restart_is_told_to_the_reader_and_costs_nothing(
    owner: User,
    client_of: ClientOf,
    conversation: Conversation,
    agent: ScriptedAgent,
    settings: Settings,
) -> None:
    settings.SHUTDOWN_GRACE = timedelta(seconds=0)
    agent.steps = LONG
    with ask_for_stream(client_of(owner), conversation) as response:
        lines = response.iter_lines()
        read_until(lines, "27 days")
        running = registry._running
        assert running is not None
        asyncio.run_coroutine_threadsafe(running.close(), running.loop).result(10)
        assert events("\n".join(lines))[-1][1]["code"] == "restarting"
    assert settled_once(owner)


def test_regenerating_answers_the_newest_message_again(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    message = client.post(f"conversations/{conversation.pk}/messages/", json={"text": "How often?"}).json()["message"]
    agent.answer("Monthly.")
    again = client.post(f"messages/{message}/regenerate/")
    assert (again.status_code, again.json()["text"]) == (HTTPStatus.CREATED, "Monthly.")
    assert agent.chats[-1]["history"] == []
    (listed,) = client.get(f"conversations/{conversation.pk}/messages/").json()["results"]
    assert [answer["text"] for answer in listed["answers"]] == ["Every 27 days [1].", "Monthly."]


def test_only_the_newest_message_can_be_regenerated(client: httpx.Client, conversation: Conversation) -> None:
    url = f"conversations/{conversation.pk}/messages/"
    first = client.post(url, json={"text": "How often?"}).json()["message"]
    client.post(url, json={"text": "And why?"})
    response = client.post(f"messages/{first}/regenerate/")
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.CONFLICT, "nothing_to_regenerate")


def test_a_citation_opens_its_page(client: httpx.Client, conversation: Conversation) -> None:
    answer = client.post(f"conversations/{conversation.pk}/messages/", json={"text": "How often?"}).json()
    opened = client.get(f"answers/{answer['id']}/citations/1/").json()
    assert opened["page_text"][opened["start"] : opened["end"]] == opened["quote"]
    assert client.get(f"answers/{answer['id']}/citations/2/").status_code == HTTPStatus.NOT_FOUND


def test_a_deleted_documents_citation_shows_no_text(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge
) -> None:
    answer = client.post(f"conversations/{conversation.pk}/messages/", json={"text": "How often?"}).json()
    Document.objects.update(state=State.DELETING)
    assert client.get(f"answers/{answer['id']}/citations/1/").json()["page_text"] is None
    knowledge.document.delete()
    (citation,) = client.get(f"answers/{answer['id']}/").json()["citations"]
    assert (citation["document"], citation["quote"], citation["outdated"]) == (None, None, True)


def test_errors_are_json_also_for_a_client_that_wants_a_stream(client: httpx.Client) -> None:
    url = "conversations/019aa000-0000-7000-8000-000000000000/messages/"
    response = client.post(url, json={"text": "Hi"}, headers={"accept": "text/event-stream"})
    assert response.status_code == HTTPStatus.NOT_FOUND
    assert json.loads(response.content)["code"] == "not_found"
