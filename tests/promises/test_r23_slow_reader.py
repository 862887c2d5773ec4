"""R23 in short form: readers who take nothing cost hardly any memory, are dropped, and their answers settle once."""

import ctypes
import gc
import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pytest_django import Settings

from agent_service.pipeline.answering import CHARS_PER_TOKEN
from backend.conversations.answers.turns import Turn
from backend.conversations.models import Answer, AnswerState
from backend.conversations.services import create_conversation
from backend.credits import services as ledger
from backend.credits.models import Entry, Kind
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge, wait_for
from tests.backend.conversations.scripted_agent import ScriptedAgent

MANY = 100
READERS = 20
PIECES = 25
PIECE = "and so on " * 20_000  # 200 kB: 5 MB an answer, more than the sockets hold between them


@pytest.fixture
def client(owner: User, client_of: Callable[[User], httpx.Client]) -> httpx.Client:
    return client_of(owner)


def resident_megabytes() -> float:
    """Without what the allocator keeps for later."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def deaf_reader(client: httpx.Client, conversation: object) -> socket.socket:
    """Asks, and reads no answer."""
    port = client.base_url.port
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", port))
    body = b'{"text": "How often?"}'
    head = (
        f"POST /api/v1/conversations/{conversation}/messages/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: {client.headers['Authorization']}\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader.sendall(head.encode() + body)
    return reader


def test_readers_who_take_nothing_are_dropped_and_harm_nobody(
    client: httpx.Client, owner: User, knowledge: Knowledge, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.STREAM_READER = timedelta(seconds=0.5)
    settings.TURN_ABANDON_GRACE = timedelta(seconds=0.2)
    agent.answer(*[PIECE] * PIECES, 30.0)  # and then nothing: only the loss of its reader ends it
    conversations = [create_conversation(user=owner, bot_id=knowledge.bot.pk).pk for _ in range(READERS)]
    client.get("bots/")
    before = resident_megabytes()
    with ExitStack() as stack:
        for conversation in conversations:
            stack.callback(deaf_reader(client, conversation).close)
        started = time.monotonic()
        wait_for(lambda: Answer.objects.count() == READERS)
        wait_for(lambda: not Answer.objects.filter(state=AnswerState.STREAMING).exists(), 25)
        dropped = time.monotonic() - started
        grown = resident_megabytes() - before
        times = []
        for _ in range(5):
            asked = time.monotonic()
            assert client.get("bots/").status_code == 200
            times.append(time.monotonic() - asked)
    print(f"{READERS} deaf readers: dropped after {dropped:.1f} s, {grown:.0f} MB, GET bots {max(times) * 1000:.0f} ms")
    assert agent.open_streams == 0
    assert grown < 350  # 5 MB of text each, agent and web in this one process
    assert Entry.objects.filter(kind=Kind.SETTLE).count() == Entry.objects.filter(kind=Kind.HOLD).count() == READERS


def running_turns() -> list[Turn]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Turn)]


def text_here() -> int:
    return sum(len(turn.text) for turn in running_turns())


def test_a_hundred_readers_who_take_nothing_cost_less_than_they_may(
    client: httpx.Client, owner: User, knowledge: Knowledge, agent: ScriptedAgent, settings: Settings
) -> None:
    """The promise's figure, with the longest answer that the agent lets a model give."""
    ledger.grant(account=ledger.account_for(owner), amount=10_000, key="many", reason="test")
    longest = "x" * settings.ANSWER_LIMIT_TOKENS * CHARS_PER_TOKEN
    settings.STREAM_READER = timedelta(minutes=5)
    agent.answer(longest, 300.0)
    conversations = [create_conversation(user=owner, bot_id=knowledge.bot.pk).pk for _ in range(MANY)]
    client.get("bots/")
    before = resident_megabytes()
    with ExitStack() as stack:
        for conversation in conversations:
            stack.enter_context(deaf_reader(client, conversation))
        wait_for(lambda: text_here() == MANY * len(longest), 120)
        grown = resident_megabytes() - before
    print(f"{MANY} readers: {grown:.0f} MB")
    assert grown < 100
