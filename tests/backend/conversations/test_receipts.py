import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httpx

from backend.bots.models import BotVersion
from backend.conversations.models import Conversation, Receipt
from backend.credits.models import Entry
from backend.users.models import User
from tests.backend.conversations.conftest import PAGE, Knowledge, ask
from tests.backend.conversations.scripted_agent import ScriptedAgent

SHA = "ab" * 32


def receipt_of(client: httpx.Client, answer: dict[str, str]) -> Any:
    response = client.get(f"answers/{answer['id']}/receipt/")
    assert response.status_code == HTTPStatus.OK, response.text
    return response.json()


def test_a_receipt_names_the_passages_with_rank_and_score(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge
) -> None:
    (passage,) = receipt_of(client, ask(client, conversation).json())["passages"]
    assert passage == {
        "rank": 1,
        "chunk": str(knowledge.chunk.pk),
        "bot": str(conversation.bot_id),
        "document": str(knowledge.document.pk),
        "version": str(knowledge.version.pk),
        "page": 1,
        "start": 0,
        "end": len(PAGE),
        "score": 0.9,
    }


def test_a_receipt_says_what_was_asked_of_the_model_and_how_it_was_checked(
    client: httpx.Client, conversation: Conversation, knowledge: Knowledge, agent: ScriptedAgent
) -> None:
    agent.answer("Yes [1].", citations=[knowledge.citation()], prompt_sha256=SHA, withheld=2)
    receipt = receipt_of(client, ask(client, conversation).json())
    assert receipt["prompt_sha256"] == SHA
    assert receipt["parameters"]["temperature"] == 0.2
    checks = receipt["checks"]
    assert (checks["citations"], checks["citations_rejected"], checks["withheld"]) == (1, 0, 2)
    assert {"first_word_ms", "total_ms"} <= set(receipt["timings"])


def test_a_receipt_shows_the_ledgers_entries_and_the_price(client: httpx.Client, conversation: Conversation) -> None:
    answer = ask(client, conversation).json()
    receipt = receipt_of(client, answer)
    entries = Entry.objects.filter(reference=answer["id"]).order_by("seq")
    assert [entry["id"] for entry in receipt["entries"]] == [str(entry.pk) for entry in entries]
    assert receipt["price"]["id"] == str(entries[1].price_id)


def test_no_word_of_a_document_is_in_a_receipt(client: httpx.Client, conversation: Conversation) -> None:
    ask(client, conversation)
    row = Receipt.objects.values().get()
    assert not any(word in json.dumps(row, default=str) for word in ("moon", "orbits", "Nobody"))


def test_a_receipt_is_the_askers_and_not_the_bots_owners(
    client: httpx.Client, client_of: Callable[[User], httpx.Client], knowledge: Knowledge, stranger: User
) -> None:
    knowledge.bot.visibility = "public"
    knowledge.bot.save(update_fields=["visibility"])
    asker = client_of(stranger)
    conversation = Conversation(pk=asker.post("conversations/", json={"bot": str(knowledge.bot.pk)}).json()["id"])
    answer = ask(asker, conversation).json()
    assert receipt_of(asker, answer)["answer"] == answer["id"]
    assert client.get(f"answers/{answer['id']}/receipt/").status_code == HTTPStatus.NOT_FOUND


def test_receipts_of_ones_bots_can_be_listed_for_whoever_owns_them(
    client: httpx.Client, conversation: Conversation, owner: User, stranger: User
) -> None:
    ask(client, conversation)
    assert (Receipt.objects.of_bots_of(owner).count(), Receipt.objects.of_bots_of(stranger).count()) == (1, 0)


def test_an_answer_that_failed_has_no_receipt(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    agent.refusal = (502, {"code": "upstream_garbage", "message": "Unreadable.", "retryable": True})
    ask(client, conversation)
    assert not Receipt.objects.exists()


def test_what_the_search_asked_of_models_is_paid_with_the_answer(
    client: httpx.Client, conversation: Conversation, agent: ScriptedAgent
) -> None:
    BotVersion.objects.update(rewriting="model")
    agent.rewriting = {"provider": "local", "model": "extractive", "input_tokens": 1000, "output_tokens": 10}
    answer = ask(client, conversation).json()
    assert answer["usage"]["input_tokens"] == 1040
