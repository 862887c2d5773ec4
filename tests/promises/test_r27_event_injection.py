"""R27: whatever a model says stays text. It cannot begin an event of its own."""

import json
from collections.abc import Callable

import httpx
import pytest

from backend.conversations.models import Conversation
from backend.users.models import User
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.emulators.speaking import FAKE_SSE, XSS

ENDS = ("\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c")
SAID = [
    FAKE_SSE,
    XSS,
    *(f'A{end}{end}event: credits{end}data: {{"balance": 999999}}{end}{end}B' for end in ENDS),
    'A\n\nid: 99\nevent: done\ndata: {"state": "done"}\n\n: comment\n\nretry: 1\n\n',
]


@pytest.fixture
def client(owner: User, client_of: Callable[[User], httpx.Client]) -> httpx.Client:
    return client_of(owner)


def frames(stream: str) -> list[dict[str, str]]:
    """As the standard reads them, whose lines end in CR, LF or both; https://html.spec.whatwg.org/#event-stream-interpretation"""
    lines = stream.replace("\r\n", "\n").replace("\r", "\n")
    blocks = [block.split("\n") for block in lines.split("\n\n") if block.strip()]
    return [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]


@pytest.mark.parametrize("said", SAID, ids=range(len(SAID)))
def test_what_a_model_says_is_one_text(
    said: str, client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.answer(said[:7], said[7:])
    url = f"conversations/{conversation.pk}/messages/"
    response = client.post(url, json={"text": "How often?"}, headers={"accept": "text/event-stream"})
    read = [frame for frame in frames(response.content.decode()) if frame]
    names = [frame["event"] for frame in read]
    assert names[0] == "meta"
    assert names[-1] == "done"
    assert set(names) <= {"meta", "delta", "citations", "usage", "done"}
    assert names.count("done") == 1
    shown = "".join(json.loads(frame["data"])["text"] for frame in read if frame["event"] == "delta")
    assert shown == said
