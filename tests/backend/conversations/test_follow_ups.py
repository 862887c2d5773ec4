import httpx
import pytest

from backend.bots.models import BotVersion
from backend.conversations.models import Answer, AnswerState, Conversation
from backend.credits.models import Entry
from tests.backend.conversations.conftest import ask
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

SUGGESTED = ("follow_ups", {"questions": ["Why?", "Since when?"]})


@pytest.mark.parametrize(("wanted", "asked"), [(True, 3), (False, 0)])
def test_they_are_asked_for_where_the_owner_wants_them(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, wanted: bool, asked: int
) -> None:
    BotVersion.objects.update(follow_ups=wanted)
    ask(client, conversation)
    assert agent.chats[-1]["follow_ups"] == asked


def test_they_come_after_the_citations_and_are_kept(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.answer("Every 27 days.", after=[SUGGESTED])
    named = events(ask(client, conversation, headers={"accept": "text/event-stream"}).text)
    assert [name for name, _ in named if name != "delta"] == ["meta", "citations", "follow_ups", "usage", "done"]
    assert client.get(f"answers/{named[0][1]['answer_id']}/").json()["follow_ups"] == SUGGESTED[1]["questions"]
    again = events(client.get(f"answers/{named[0][1]['answer_id']}/events/").text)
    assert again[-4:] == named[-4:]


def test_they_are_counted_in_what_is_held(client: httpx.Client, conversation: Conversation, by_token: None) -> None:
    for wanted in (False, True):
        BotVersion.objects.update(follow_ups=wanted)
        ask(client, conversation)
    without, with_them = Entry.objects.filter(kind="hold").order_by("seq").values_list("amount", flat=True)
    assert with_them > without


def test_whoever_leaves_while_they_are_made_has_had_the_whole_answer(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.answer("Every 27 days.", after=[30])
    url = f"conversations/{conversation.pk}/messages/"
    with client.stream("POST", url, json={"text": "How often?"}, headers={"accept": "text/event-stream"}) as response:
        lines = response.iter_lines()
        next(line for line in lines if "27 days" in line)
        client.post(f"answers/{Answer.objects.get().pk}/stop/")
        assert events("\n".join(lines))[-1] == ("done", {"state": "done", "finish_reason": "stop"})
    assert Answer.objects.get().state == AnswerState.DONE
