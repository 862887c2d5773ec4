"""The models themselves, without a bot: what there is, what it costs, and asking one."""

from collections.abc import Callable

import httpx
import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from backend.conversations.models import Answer, Conversation, Origin
from backend.credits import services as ledger
from backend.credits.audit import find_differences
from backend.credits.models import Entry, Kind
from backend.credits.pricing import Rates
from backend.users.models import User
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.conversations.sse import events

AsUser = Callable[[User], APIClient]
ClientOf = Callable[[User], httpx.Client]
GEMINI = "google:gemini-2.5-flash"
CHAT = {"model": GEMINI, "text": "How often does the moon orbit?"}


def test_models_are_listed_with_their_prices(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    ledger.set_price(model=GEMINI, rates=Rates(per_answer=1, input_per_1k=2, output_per_1k=3))
    listed = as_user(owner).get("/api/v1/gateway/models/").json()
    gemini = next(model for model in listed["models"] if model["id"] == GEMINI)
    assert gemini["credits"] == {"per_answer": 1, "input_per_1k": 2, "output_per_1k": 3}
    assert gemini["input_price"] == "0.30"
    assert listed["embeddings"] == [{"id": "local:wordllama:256", "default": True}]


@pytest.mark.parametrize("wanted", [GEMINI, "gemini-2.5-flash"])
def test_a_model_is_found_by_id_and_by_name(as_user: AsUser, owner: User, agent: ScriptedAgent, wanted: str) -> None:
    assert as_user(owner).get(f"/api/v1/gateway/models/{wanted}/").json()["id"] == GEMINI


def test_what_is_not_offered_is_not_found(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    missing = as_user(owner).get("/api/v1/gateway/models/gpt-9/")
    assert (missing.status_code, missing.json()["code"]) == (404, "model_not_offered")


def test_providers_say_whether_they_answer(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    (provider,) = as_user(owner).get("/api/v1/gateway/providers/").json()["providers"]
    assert (provider["id"], provider["state"]) == ("local", "ok")


def test_tokens_are_counted(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    body = {"model": "gemini-2.5-flash", "text": "Hello", "history": [{"role": "user", "text": "Hi"}]}
    counted = as_user(owner).post("/api/v1/gateway/count-tokens/", body).json()
    assert counted == {"model": GEMINI, "input_tokens": 5, "estimated": True}


def test_a_cost_is_told_in_credits_and_in_dollars(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    ledger.set_price(model=GEMINI, rates=Rates(per_answer=1, input_per_1k=2, output_per_1k=3))
    body = {"model": GEMINI, "input_tokens": 1000, "output_tokens": 1000}
    told = as_user(owner).post("/api/v1/gateway/estimate-cost/", body).json()
    assert told["credits"] == 6
    assert told["dollars"]["total"] == "0.0028"


def test_dollars_are_unknown_where_nobody_told_them(as_user: AsUser, owner: User, agent: ScriptedAgent) -> None:
    body = {"model": "local:extractive", "input_tokens": 1, "output_tokens": 1}
    told = as_user(owner).post("/api/v1/gateway/estimate-cost/", body).json()
    assert told["dollars"] is None


def test_a_model_is_asked_with_nothing_but_what_was_sent(
    client_of: ClientOf, owner: User, agent: ScriptedAgent
) -> None:
    said = [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello"}]
    body = {**CHAT, "instructions": "Be brief.", "history": said, "temperature": 0.9, "max_output_tokens": 5}
    answer = client_of(owner).post("gateway/chat/", json=body).json()
    assert answer["text"].startswith("Every 27 days")
    (chat,) = agent.chats
    assert (chat["model"], chat["instructions"], chat["temperature"]) == (GEMINI, "Be brief.", 0.9)
    assert (chat["history"], chat["passages"], chat["max_output_tokens"]) == (said, [], 5)
    assert agent.retrievals == []


def test_it_is_held_settled_and_kept_as_a_turn(client_of: ClientOf, owner: User, agent: ScriptedAgent) -> None:
    client_of(owner).post("gateway/chat/", json=CHAT).raise_for_status()
    answer = Answer.objects.get()
    kinds = Entry.objects.filter(reference=answer.pk).order_by("seq").values_list("kind", flat=True)
    assert list(kinds) == [Kind.HOLD, Kind.SETTLE]
    assert (Conversation.objects.get().origin, Conversation.objects.get().bot_id) == (Origin.GATEWAY, None)
    assert find_differences() == []


def test_it_is_streamed(client_of: ClientOf, owner: User, agent: ScriptedAgent) -> None:
    answer = client_of(owner).post("gateway/chat/", json=CHAT, headers={"Accept": "text/event-stream"})
    names = [name for name, _ in events(answer.text)]
    assert (names[0], names[1], names[-1]) == ("meta", "delta", "done")


def test_without_credits_no_model_is_asked(
    client_of: ClientOf, owner: User, agent: ScriptedAgent, settings: Settings
) -> None:
    settings.SIGNUP_GRANT = 0
    refused = client_of(owner).post("gateway/chat/", json=CHAT)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_enough_credits")
    assert (agent.chats, Conversation.objects.count()) == ([], 0)


def test_a_repeated_key_gives_the_same_answer(client_of: ClientOf, owner: User, agent: ScriptedAgent) -> None:
    client = client_of(owner)
    ids = {client.post("gateway/chat/", json=CHAT, headers={"Idempotency-Key": "once"}).json()["id"] for _ in range(2)}
    assert (len(ids), len(agent.chats)) == (1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": " "},
        {"text": "x" * 8_001},
        {"temperature": 3},
        {"max_output_tokens": 0},
        {"history": [{"role": "system", "text": "x"}]},
        {"images": [{"media_type": "image/png", "data": "!"}]},
        {"model": "x" * 121},
    ],
)
def test_what_is_no_question_is_refused(
    as_user: AsUser, owner: User, agent: ScriptedAgent, wrong: dict[str, object]
) -> None:
    assert as_user(owner).post("/api/v1/gateway/chat/", {**CHAT, **wrong}).status_code == 400
    assert not Answer.objects.exists()
