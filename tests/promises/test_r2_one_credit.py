"""R2: however many ask at once, one credit buys one answer."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from pytest_django import Settings

from backend.conversations.models import Answer
from backend.conversations.services import create_conversation
from backend.credits import services as ledger
from backend.credits.audit import find_differences
from backend.users import api_keys
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge
from tests.backend.conversations.scripted_agent import ScriptedAgent

PARALLEL = 50


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.long)])
def test_fifty_parallel_chats_on_one_credit(
    rounds: int,
    owner: User,
    knowledge: Knowledge,
    client_of: Callable[[User], httpx.Client],
    agent: ScriptedAgent,
    settings: Settings,
) -> None:
    settings.SIGNUP_GRANT = 0
    client = client_of(owner)
    account = ledger.account_for(owner)
    urls = [
        f"conversations/{create_conversation(user=owner, bot_id=knowledge.bot.pk).pk}/messages/"
        for _ in range(PARALLEL)
    ]
    for round_ in range(rounds):
        ledger.topup(account=account, amount=1, actor=owner, reason="one credit", key=f"round {round_}")
        agent.chats.clear()
        with ThreadPoolExecutor(PARALLEL) as pool:
            answers = list(pool.map(lambda url: client.post(url, json={"text": "How often?"}), urls))
        codes = Counter((answer.status_code, answer.json().get("code", "")) for answer in answers)
        print(f"round {round_}: {dict(codes)}, upstream called {len(agent.chats)} times")
        assert codes == {(201, ""): 1, (403, "not_enough_credits"): PARALLEL - 1}
        assert len(agent.chats) == 1
        account.refresh_from_db()
        assert (account.available, account.reserved) == (0, 0)
    assert Answer.objects.count() == rounds
    assert find_differences() == []


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.long)])
def test_fifty_parallel_chats_through_all_doors_on_one_credit(
    rounds: int,
    owner: User,
    knowledge: Knowledge,
    web: str,
    agent: ScriptedAgent,
    settings: Settings,
) -> None:
    settings.SIGNUP_GRANT = 0
    account = ledger.account_for(owner)
    key = api_keys.create(user=owner, name="program")[1]
    bot = str(knowledge.bot.pk)
    conversations = [create_conversation(user=owner, bot_id=knowledge.bot.pk).pk for _ in range(PARALLEL)]
    with httpx.Client(base_url=web, headers={"X-API-Key": key}, timeout=60, trust_env=False) as client:

        def ask(number: int) -> str:
            """The code of what came of it."""
            door = number % 4
            if door == 0:
                url = f"/api/v1/conversations/{conversations[number]}/messages/"
                answer = client.post(url, json={"text": "How often?"}).json()
                return str(answer.get("code", "answered"))
            if door == 3:
                call = {"name": "ask_bot", "arguments": {"bot": bot, "question": "How often?"}}
                message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call}
                result = client.post("/mcp/", json=message).json()["result"]
                error = result["structuredContent"]["error"]  # null in an answer
                return str(error["code"]) if error else "answered"
            body = {"model": bot, "messages": [{"role": "user", "content": "How often?"}], "stream": door == 2}
            answer = client.post("/v1/chat/completions", json=body)
            if answer.is_error:
                return str(answer.json()["error"]["code"])
            return "answered" if door == 1 or "[DONE]" in answer.text else answer.text

        for round_ in range(rounds):
            ledger.topup(account=account, amount=1, actor=owner, reason="one credit", key=f"mixed {round_}")
            agent.chats.clear()
            with ThreadPoolExecutor(PARALLEL) as pool:
                codes = Counter(pool.map(ask, range(PARALLEL)))
            print(f"round {round_}: {dict(codes)}, upstream called {len(agent.chats)} times")
            assert codes == {"answered": 1, "not_enough_credits": PARALLEL - 1}
            assert len(agent.chats) == 1
            account.refresh_from_db()
            assert (account.available, account.reserved) == (0, 0)
    assert Answer.objects.count() == rounds
    assert find_differences() == []
