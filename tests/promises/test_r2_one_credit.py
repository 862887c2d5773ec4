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
