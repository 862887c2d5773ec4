"""POST /rerank: what was found in a better order, and as it was where the reranker fails."""

from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest

from agent_service.errors import UpstreamError
from tests.agent_service.calls import Caller
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedChat, follows, says

QUESTION = "Who opened the first steel mill in Ohio?"
TEXTS = [
    "The first of May is a holiday. A mill for flour opened. Steel is heavy. Ohio is a state.",
    "Ohio has many rivers and lakes.",
    "The first steel mill in Ohio was opened by Henry Chisholm.",
]


def rerank(
    caller: Caller, reranker: str = "lexical", scores: tuple[float, ...] = (0.6, 0.55, 0.5), **claims: Any
) -> Any:
    passages = [{"id": str(uuid4()), "text": text, "score": score} for text, score in zip(TEXTS, scores, strict=True)]
    request = {"reranker": reranker, "query": QUESTION, "passages": passages}
    response = caller.post("/rerank", request)
    assert response.status_code == HTTPStatus.OK, response.text
    answer = response.json()
    ids = [passage["id"] for passage in passages]
    return [ids.index(passage["id"]) for passage in answer["passages"]], answer


def test_words_that_stand_together_come_first(keyless: Caller) -> None:
    order, answer = rerank(keyless, scores=(0.5, 0.5, 0.5))
    assert (order[0], answer["failed"]) == (2, False)
    scores = [passage["score"] for passage in answer["passages"]]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] <= scores[0] <= 1


def test_what_the_search_said_counts_most(keyless: Caller) -> None:
    assert rerank(keyless, scores=(0.1, 1.0, 0.1))[0][0] == 1


def test_the_words_cost_nothing(keyless: Caller) -> None:
    assert rerank(keyless)[1]["usage"]["input_tokens"] == 0


def test_a_model_names_the_order(start_agent: StartAgent) -> None:
    chat = says("3, 1")
    order, answer = rerank(start_agent(chat=chat), "fake:chat")
    assert (order, answer["failed"], answer["usage"]["input_tokens"]) == ([2, 0, 1], False, 20)
    assert chat.opened == 1


@pytest.mark.parametrize(
    "chat",
    [
        follows(UpstreamError("unavailable", "fake", status=503)),
        says("I cannot say."),
        says("99, 0, 12345"),
        follows(20.0, "1"),
    ],
    ids=["fails", "babbles", "names others", "hangs"],
)
def test_a_model_of_no_use_leaves_them_as_they_came(start_agent: StartAgent, chat: ScriptedChat) -> None:
    order, answer = rerank(start_agent(chat=chat, model_rerank_seconds=0.3), "fake:chat")
    assert (order, answer["failed"], chat.opened) == ([0, 1, 2], True, 1)


def test_a_model_that_is_not_offered(keyless: Caller) -> None:
    body = {"reranker": "fake:none", "query": "x", "passages": [{"id": str(uuid4()), "text": "x"}]}
    assert keyless.post("/rerank", body).json()["code"] == "model_unknown"


def test_a_token_of_nobody_is_refused(keyless: Caller) -> None:
    body = {"reranker": "lexical", "query": "x", "passages": [{"id": str(uuid4()), "text": "x"}]}
    assert keyless.post("/rerank", body, claims={"user": None}).status_code == HTTPStatus.FORBIDDEN
