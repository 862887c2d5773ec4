"""The emulated Gemini as a plain HTTP client sees it."""

import json
from typing import Any

import httpx
import pytest

MODEL = "/v1beta/models/gemini-2.5-flash"
EMBEDDING = "/v1beta/models/gemini-embedding-001"
ASKED = {
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "[1] The dog weighs 12 kg.\n[2] The cat sleeps.\n\nQuestion: What does the cat do?"}],
        }
    ]
}


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\r\n\r\n") if event]


def test_an_answer_quotes_the_passage_with_its_marker(google: httpx.Client) -> None:
    answer = google.post(f"{MODEL}:generateContent", json=ASKED).json()
    candidate = answer["candidates"][0]
    assert candidate["content"] == {"parts": [{"text": "The cat sleeps. [2]"}], "role": "model"}
    assert candidate["finishReason"] == "STOP"
    usage = answer["usageMetadata"]
    assert usage["promptTokenCount"] + usage["candidatesTokenCount"] == usage["totalTokenCount"]
    assert answer["modelVersion"] == "gemini-2.5-flash"


def test_a_stream_is_server_sent_events_with_the_reason_in_the_last(google: httpx.Client) -> None:
    response = google.post(f"{MODEL}:streamGenerateContent?alt=sse", json=ASKED)
    assert response.headers["content-type"] == "text/event-stream"
    chunks = events(response.text)
    reasons = [chunk["candidates"][0].get("finishReason") for chunk in chunks]
    assert reasons[-1] == "STOP"
    assert set(reasons[:-1]) == {None}
    assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks) == "The cat sleeps. [2]"


def test_the_same_question_gets_the_same_answer(google: httpx.Client) -> None:
    first, second = (google.post(f"{MODEL}:generateContent", json=ASKED).json() for _ in range(2))
    assert first["candidates"] == second["candidates"]


def test_the_token_limit_is_kept(google: httpx.Client) -> None:
    body = {**ASKED, "generationConfig": {"maxOutputTokens": 2}}
    assert google.post(f"{MODEL}:generateContent", json=body).json()["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_vectors_have_the_dimension_asked_for_and_unit_length(google: httpx.Client) -> None:
    item = {"content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 16}
    one = google.post(f"{EMBEDDING}:embedContent", json=item).json()["embedding"]["values"]
    many = google.post(f"{EMBEDDING}:batchEmbedContents", json={"requests": [item, item]}).json()["embeddings"]
    assert [entry["values"] for entry in many] == [one, one]
    assert (len(one), sum(value * value for value in one)) == (16, pytest.approx(1))


def test_tokens_are_counted(google: httpx.Client) -> None:
    assert google.post(f"{MODEL}:countTokens", json=ASKED).json()["totalTokens"] > 10


def test_models_are_listed_and_described(google: httpx.Client) -> None:
    names = {model["name"] for model in google.get("/v1beta/models").json()["models"]}
    assert {"models/gemini-2.5-flash", "models/gemini-embedding-001"} <= names
    assert google.get(EMBEDDING).json()["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1beta/models/gpt-9:generateContent", ASKED, 404),
        (f"{MODEL}:generateContent", {"contents": []}, 400),
        (f"{EMBEDDING}:batchEmbedContents", {"requests": []}, 400),
        (f"{EMBEDDING}:batchEmbedContents", {"requests": [{}] * 101}, 400),
        (f"{EMBEDDING}:embedContent", {"outputDimensionality": 5000}, 400),
        (f"{MODEL}:danceContent", ASKED, 404),
    ],
)
def test_a_wrong_request_is_refused_in_googles_shape(
    google: httpx.Client, path: str, body: dict[str, Any], status: int
) -> None:
    response = google.post(path, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, status)
    assert error["status"] in ("INVALID_ARGUMENT", "NOT_FOUND")


def test_a_wrong_key_is_a_bad_request_and_none_is_forbidden(google: httpx.Client) -> None:
    wrong = google.post(f"{MODEL}:generateContent", json=ASKED, headers={"x-goog-api-key": "other"})
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    none = google.post(f"{MODEL}:generateContent", json=ASKED, headers={"x-goog-api-key": ""})
    assert none.status_code == 403
