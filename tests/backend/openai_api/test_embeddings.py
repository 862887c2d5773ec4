"""`POST /v1/embeddings`, with OpenAI's own package."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from pytest_django import Settings

from backend.conversations.models import Origin
from backend.conversations.services import ask_once
from backend.core.ids import uuid7
from backend.credits import services as ledger
from backend.credits.audit import find_differences
from backend.credits.models import Entry, Kind
from backend.credits.pricing import Rates
from backend.gateway.sweeping import release_lost_holds
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge
from tests.backend.conversations.scripted_agent import ScriptedAgent

OpenAIOf = Callable[[User], Any]
EMBEDDING = "local:wordllama:256"


@pytest.mark.parametrize("given", [{}, {"encoding_format": "float"}], ids=["as the package asks", "float"])
def test_vectors_come_in_the_order_of_the_texts(
    openai_of: OpenAIOf, owner: User, agent: ScriptedAgent, given: dict[str, Any]
) -> None:
    answer = openai_of(owner).embeddings.create(model=EMBEDDING, input=["one", "two"], **given)
    assert [item.embedding for item in answer.data] == [[1.0, 0.0]] * 2
    assert [item.index for item in answer.data] == [0, 1]
    assert answer.usage.total_tokens == 40
    assert agent.embeddings == [{"embedding": EMBEDDING, "texts": ["one", "two"]}]


def test_they_are_paid_by_the_price_book(openai_of: OpenAIOf, owner: User, agent: ScriptedAgent) -> None:
    ledger.set_price(model=EMBEDDING, rates=Rates(per_answer=2, input_per_1k=25, output_per_1k=0))
    openai_of(owner).embeddings.create(model=EMBEDDING, input="one")
    hold, settle = Entry.objects.filter(reference__isnull=False).order_by("seq")
    assert (hold.kind, settle.kind, settle.spent_delta, settle.input_tokens) == (Kind.HOLD, Kind.SETTLE, 3, 40)
    assert find_differences() == []


def test_without_credits_nobody_embeds(
    openai_of: OpenAIOf, owner: User, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.SIGNUP_GRANT = 0
    with pytest.raises(openai.PermissionDeniedError, match="credits"):
        openai_of(owner).embeddings.create(model=EMBEDDING, input="one")
    assert agent.embeddings == []


def test_what_fails_costs_nothing(openai_of: OpenAIOf, owner: User, agent: ScriptedAgent) -> None:
    agent.refusal = (503, {"code": "upstream_unavailable", "message": "Away."})
    with pytest.raises(openai.InternalServerError):
        openai_of(owner).embeddings.create(model=EMBEDDING, input="one")
    account = ledger.account_for(owner)
    assert (account.reserved, account.spent) == (0, 0)


@pytest.mark.parametrize("given", [[], [""], [1, 2], [[1, 2]], ["x" * 20_001], ["x"] * 257, {"a": 1}, 5, None])
def test_what_is_no_text_is_refused(openai_of: OpenAIOf, owner: User, agent: ScriptedAgent, given: object) -> None:
    with pytest.raises(openai.BadRequestError):
        openai_of(owner).embeddings.create(model=EMBEDDING, input=given)
    assert agent.embeddings == []


def test_an_unknown_embedding_is_no_model(openai_of: OpenAIOf, owner: User, agent: ScriptedAgent) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        openai_of(owner).embeddings.create(model="text-embedding-3-small", input="one")
    assert missing.value.code == "model_not_found"
    assert "/api/v1/gateway/models/" in missing.value.message


def test_a_hold_whose_process_died_is_given_back(owner: User, settings: Settings) -> None:
    ledger.hold(user=owner, amount=5, reference=uuid7(), price=ledger.price_for(EMBEDDING))
    assert release_lost_holds() == 0  # it may still be under way
    settings.AGENT_CALL_SECONDS = -1.0
    assert release_lost_holds() == 1
    account = ledger.account_for(owner)
    assert (account.reserved, account.spent) == (0, 0)


def test_the_hold_of_a_running_answer_is_left_alone(owner: User, knowledge: Knowledge, settings: Settings) -> None:
    ask_once(user=owner, bot_id=knowledge.bot.pk, text="How often?", origin=Origin.OPENAI)
    settings.AGENT_CALL_SECONDS = -1.0
    assert release_lost_holds() == 0
