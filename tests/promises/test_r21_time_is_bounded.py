"""R21 in short form: a silent stream gives a sign of life, and whatever the agent does, its time is bounded. The modes
that a vendor can hang in are among those of R20.
"""

import time
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from pytest_django import Settings

from backend.conversations.models import Answer, AnswerState, Conversation
from backend.users.models import User
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

STREAM = {"accept": "text/event-stream"}


@pytest.fixture
def client(owner: User, client_of: Callable[[User], httpx.Client]) -> httpx.Client:
    return client_of(owner)


def test_a_silent_stream_gives_signs_of_life(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.STREAM_HEARTBEAT = timedelta(seconds=0.2)
    agent.answer("First.", 1.0, " Second.")
    url = f"conversations/{conversation.pk}/messages/"
    text = client.post(url, json={"text": "How often?"}, headers=STREAM).text
    silence = text[text.index("First.") : text.index(" Second.")]
    print(f"{silence.count(': still here')} signs of life in 1 s")
    assert 2 <= silence.count(": still here") <= 5
    assert events(text)[-1][0] == "done"


@pytest.mark.parametrize("paces", [(60.0,), (0.05,) * 200], ids=["stall", "drip"])
def test_an_answer_ends_in_a_timeout_at_its_deadline(
    paces: tuple[float, ...],
    client: httpx.Client,
    conversation: Conversation,
    agent: ScriptedAgent,
    settings: Settings,
) -> None:
    settings.AGENT_CHAT_SECONDS = 1.0
    agent.answer("So ", *(step for pace in paces for step in (pace, "on ")))
    url = f"conversations/{conversation.pk}/messages/"
    started = time.monotonic()
    name, data = events(client.post(url, json={"text": "How often?"}, headers=STREAM).text)[-1]
    seconds = time.monotonic() - started
    print(f"{name} {data.get('code')} after {seconds:.1f} s")
    assert (name, data["code"], data["charged"]) == ("error", "agent_timeout", 0)
    assert 1 <= seconds < 3
    assert Answer.objects.get(conversation=conversation).state == AnswerState.FAILED
