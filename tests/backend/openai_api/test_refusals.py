"""S18: what the protocol can ask for and this product does not do is refused or clamped, always in OpenAI's shape."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from rest_framework.test import APIClient

from backend.bots.models import Bot
from backend.bots.services import create_bot
from backend.conversations.models import Answer
from backend.core.ids import uuid7
from backend.users.models import User
from tests.backend.conversations.conftest import Knowledge, know
from tests.backend.conversations.scripted_agent import ScriptedAgent
from tests.backend.openai_api.conftest import key_of, user

Ask = Callable[..., Any]
QUESTION = [user("How often does it orbit?")]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()


def image(url: Any) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]}
    ]


@pytest.fixture
def bot(owner: User) -> Bot:
    return create_bot(owner=owner, name="Moon bot")


@pytest.fixture
def send(owner: User) -> Ask:
    """For what is refused before anything is begun."""
    client = APIClient(headers={"Authorization": f"Bearer {key_of(owner)}"})

    def sent(path: str = "chat/completions", **body: Any) -> Any:
        return client.post(f"/v1/{path}", body)

    return sent


def error(response: Any) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert "x-request-id" in response.headers
    found: dict[str, Any] = body["error"]
    return found


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("n", 2),
        ("n", True),
        ("tools", [{"type": "function", "function": {"name": "run"}}]),
        ("functions", [{"name": "run"}]),
        ("tool_choice", "required"),
        ("logprobs", True),
        ("response_format", {"type": "json_object"}),
        ("modalities", ["text", "audio"]),
        ("file_id", "file-abc"),
        ("web_search_options", {}),
    ],
)
def test_what_would_change_the_answer_is_refused(send: Ask, bot: Bot, param: str, value: Any) -> None:
    response = send(model=str(bot.pk), messages=QUESTION, **{param: value})
    assert response.status_code == 400
    assert (error(response)["code"], error(response)["param"]) == ("unsupported_parameter", param)
    assert not Answer.objects.exists()


@pytest.mark.parametrize(
    "value", [["x"] * 10_000, ["x"] * 5, [""], ["a", ["b"]], {"a": "b"}, 7, True, "x" * 201, ["x" * 10_000]]
)
def test_stop_sequences_are_few_and_short_texts(send: Ask, bot: Bot, value: Any) -> None:
    response = send(model=str(bot.pk), messages=QUESTION, stop=value)
    assert response.status_code == 400
    assert str(error(response)["param"]).startswith("stop")
    assert not Answer.objects.exists()


def test_what_is_no_parameter_is_refused(send: Ask, bot: Bot) -> None:
    refused = error(send(model=str(bot.pk), messages=QUESTION, namespace="bot-1"))
    assert (refused["code"], refused["param"]) == ("unknown_parameter", "namespace")


def test_what_asks_for_nothing_is_taken(post: Ask, knowledge: Knowledge) -> None:
    nothing = {
        "n": 1, "tools": [], "stop": None, "temperature": 0.7, "top_p": 1, "user": "somebody", "seed": 1,
        "presence_penalty": 0, "response_format": {"type": "text"}, "logit_bias": {}, "max_tokens": None,
    }  # fmt: skip
    assert post(model=str(knowledge.bot.pk), messages=QUESTION, **nothing).status_code == 200


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("text", "messages"),
        ([{"role": "user", "content": "x"}] * 2_001, "messages"),
        (["text"], "messages[0].role"),
        ([user("x"), {"role": "assistant", "content": "y"}], "messages[1].role"),
        ([{"role": "tool", "content": "x"}, *QUESTION], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}, *QUESTION], "messages[0].role"),
        ([{"role": "assistant", "tool_calls": [{"id": "1"}]}, *QUESTION], "messages[0].tool_calls"),
        ([user("  ")], "messages[0].content"),
        ([user("x" * 8_001)], "messages[0].content"),
        ([{"role": "user", "content": {"text": "x"}}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": ["text"]}], "messages[0].content[0]"),
    ],
)
def test_messages_that_are_no_question_are_refused_by_their_place(
    send: Ask, bot: Bot, messages: Any, param: str
) -> None:
    response = send(model=str(bot.pk), messages=messages)
    assert response.status_code == 400
    assert error(response)["param"] == param
    assert not Answer.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://example.com/cat.png",
        "file:///etc/passwd",
        "//127.0.0.1/x.png",
        "DATA:text/html;base64,PGI+",
        "data:image/png,plain",
        "data:image/png;base64,!!!!",
        f"data:image/svg+xml;base64,{PNG}",
        f"data:image/jpeg;base64,{PNG}",
    ],
)
def test_an_image_is_never_fetched_and_always_checked(send: Ask, bot: Bot, url: str) -> None:
    response = send(model=str(bot.pk), messages=image({"url": url}))
    assert response.status_code == 400
    assert error(response)["type"] == "invalid_request_error"
    assert not Answer.objects.exists()


def test_an_image_that_comes_along_is_shown_to_the_model(post: Ask, knowledge: Knowledge, agent: ScriptedAgent) -> None:
    response = post(
        model=str(knowledge.bot.pk), messages=image({"url": f"data:image/png;base64,{PNG}", "detail": "low"})
    )
    assert response.status_code == 200
    assert agent.chats[0]["images"] == [{"media_type": "image/png", "data": PNG}]


def test_a_foreign_bot_is_answered_like_one_that_never_was(send: Ask, bot: Bot, stranger: User) -> None:
    foreign = know(create_bot(owner=stranger, name="Theirs"))
    answers = [
        send(model=model, messages=QUESTION) for model in (str(foreign.bot.pk), str(uuid7()), "gpt-5", "x" * 200)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert (error(answers[0])["code"], error(answers[0])["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize("path", ["chat/completions", "embeddings"])
@pytest.mark.parametrize("given", [[], {"messages": None}, {"model": 1}, {"model": ["a"], "input": {}, "messages": {}}])
def test_a_body_of_another_kind_is_refused(send: Ask, path: str, given: Any) -> None:
    body = given if isinstance(given, dict) else {}
    response = send(path, **body)
    assert 400 <= response.status_code < 500
    error(response)


def test_a_list_for_a_body_is_refused(web: str, owner: User) -> None:
    for content, status in ((b"[]", 400), (b"{", 400), (b'"text"', 400), (b"\xff", 400)):
        headers = {"Authorization": f"Bearer {key_of(owner)}", "Content-Type": "application/json"}
        response = httpx.post(f"{web}/v1/chat/completions", content=content, headers=headers, timeout=20)
        assert response.status_code == status
        error(response)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "chat/completions", 405),
        ("POST", "completions", 404),
        ("GET", "models/gpt-5", 404),
        ("GET", "files", 404),
        ("POST", "responses", 404),
    ],
)
def test_other_addresses_are_refused_in_the_same_shape(
    web: str, owner: User, agent: ScriptedAgent, method: str, path: str, status: int
) -> None:
    response = httpx.request(method, f"{web}/v1/{path}", headers={"X-API-Key": key_of(owner)}, timeout=20)
    assert response.status_code == status
    error(response)


@pytest.mark.parametrize("path", ["chat/completions", "embeddings", "models"])
def test_without_a_good_key_it_is_401(web: str, path: str, agent: ScriptedAgent) -> None:
    method = "GET" if path == "models" else "POST"
    for headers in ({}, {"Authorization": "Bearer cs_" + "x" * 43}, {"api-key": "sk-abc"}):
        response = httpx.request(method, f"{web}/v1/{path}", headers=headers, timeout=20)
        assert response.status_code == 401
        assert error(response)["type"] == "authentication_error"


def test_text_for_json_and_a_flood_are_refused_in_the_same_shape(web: str, agent: ScriptedAgent, owner: User) -> None:
    key = {"Authorization": f"Bearer {key_of(owner)}"}
    url = f"{web}/v1/chat/completions"
    plain = httpx.post(url, content=b"{}", headers={**key, "Content-Type": "text/plain"}, timeout=20)
    assert (plain.status_code, error(plain)["code"]) == (415, "unsupported_media_type")
    flood = httpx.post(url, headers=key, content=iter([b" " * 2**20] * 22), timeout=20)
    assert flood.status_code == 413
    assert flood.json()["error"]["code"] == "too_large"


def test_the_chats_of_all_doors_are_counted_together(post: Ask, knowledge: Knowledge, settings: Any) -> None:
    settings.CHAT_LIMIT_PER_MINUTE = 2
    statuses = [post(model=str(knowledge.bot.pk), messages=QUESTION).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_cookie_opens_nothing(owner: User) -> None:
    client = APIClient()
    client.force_login(owner)
    for path in ("models", "chat/completions"):
        assert client.get(f"/v1/{path}").status_code == 401


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/mcp/"])
def test_only_pages_that_are_named_may_call_it(path: str, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for origin, allowed in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
        preflight = APIClient().options(path, headers={"Origin": origin, **asked})
        assert preflight.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in preflight.headers
