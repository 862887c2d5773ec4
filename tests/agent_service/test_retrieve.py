from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from agent_service.errors import UpstreamError
from tests.agent_service.calls import Caller, new_caller, storing
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedEmbedder

WORDLLAMA = "local:wordllama:256"


def query(text: str, limit: int = 5, embedding: str = WORDLLAMA) -> dict[str, object]:
    return {"embedding": embedding, "query": text, "limit": limit}


def test_the_nearest_comes_first(keyless: Caller) -> None:
    request = storing(
        "The cat sleeps on the sofa.", "Interest rates rose in March.", "Dogs like bones.", embedding=WORDLLAMA
    )
    keyless.post("/embed_and_store", request)
    answer = keyless.post("/retrieve", query("What happened to interest rates?")).json()
    best = answer["hits"][0]
    chunk = request["chunks"][1]
    assert (best["chunk"], best["document"], best["version"]) == (chunk["id"], chunk["document"], chunk["version"])
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_says_how_long_it_took_and_what_it_cost(keyless: Caller) -> None:
    answer = keyless.post("/retrieve", query("anything")).json()
    assert set(answer["timings"]) == {"embed_ms", "search_ms", "lexical_ms"}
    assert all(milliseconds > 0 for milliseconds in answer["timings"].values())
    assert (answer["usage"]["provider"], answer["usage"]["input_tokens"]) == ("local", 2)


def test_gives_no_more_than_the_limit(keyless: Caller) -> None:
    keyless.post("/embed_and_store", storing(*(f"Text {n}" for n in range(10)), embedding=WORDLLAMA))
    assert len(keyless.post("/retrieve", query("Text", limit=3)).json()["hits"]) == 3


def test_an_empty_namespace_has_nothing(keyless: Caller) -> None:
    assert keyless.post("/retrieve", query("anything")).json()["hits"] == []


def test_twenty_bots_with_the_same_texts_never_see_each_other(keyless_url: str) -> None:
    callers = [new_caller(keyless_url) for _ in range(20)]
    requests = [storing("The secret is kept.", f"Canary {n}.", embedding=WORDLLAMA) for n in range(20)]
    for caller, request in zip(callers, requests, strict=True):
        caller.post("/embed_and_store", request)
    for caller, request in zip(callers, requests, strict=True):
        hits = caller.post("/retrieve", query("Canary secret", limit=200)).json()["hits"]
        assert {hit["chunk"] for hit in hits} == {chunk["id"] for chunk in request["chunks"]}


@pytest.mark.parametrize("other", ["N", "n ", "ｎ", "n%", "n' or '1'='1", '{"$or": []}', "*", "n/..", "nn"])
def test_a_namespace_that_looks_alike_is_another_one(keyless_url: str, other: str) -> None:
    caller = new_caller(keyless_url)
    keep = str(uuid4())
    caller.post("/embed_and_store", storing("mine", embedding=WORDLLAMA), claims={"namespace": f"n{keep}"})
    found = caller.post("/retrieve", query("mine"), claims={"namespace": f"{other}{keep}"}).json()["hits"]
    assert found == []


def test_vectors_of_another_dimension_are_not_compared(keyless: Caller, start_agent: StartAgent) -> None:
    """A bot's namespace may hold vectors of the embedder it had before."""
    keyless.post("/embed_and_store", storing("old", embedding=WORDLLAMA))
    small = start_agent()
    request = storing("new")
    small.post("/embed_and_store", request, claims={"namespace": keyless.namespace})
    hits = small.post(
        "/retrieve", query("new", embedding="fake:letters:8"), claims={"namespace": keyless.namespace}
    ).json()["hits"]
    assert [hit["chunk"] for hit in hits] == [request["chunks"][0]["id"]]


def test_a_question_is_embedded_again_after_a_passing_fault(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(faults=[UpstreamError("rate_limited", "fake", status=429, retry_after=0.05)])
    caller = start_agent(embedder=embedder)
    assert caller.post("/retrieve", query("x", embedding=embedder.id)).status_code == 200
    assert len(embedder.batches) == 2


def test_an_embedder_that_hangs_is_a_timeout(start_agent: StartAgent) -> None:
    caller = start_agent(embedder=ScriptedEmbedder(seconds=30), embedding_query_seconds=0.3)
    response = caller.post("/retrieve", query("x", embedding="fake:letters:8"))
    assert (response.status_code, response.json()["code"]) == (504, "upstream_timeout")
    assert response.json()["retryable"]


def test_a_refusal_of_the_vendor_is_not_retried(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(faults=[UpstreamError("unauthorised", "fake:letters:8", status=403)])
    response = start_agent(embedder=embedder).post("/retrieve", query("x", embedding=embedder.id))
    assert (response.status_code, response.json()["code"]) == (502, "upstream_unauthorised")
    assert response.json()["details"] == {"upstream": "fake:letters:8", "kind": "unauthorised", "upstream_status": 403}
    assert len(embedder.batches) == 1


def test_a_name_is_found_by_its_word(keyless: Caller) -> None:
    people = [f"Person {n} leads the department of records number {n} in the town." for n in range(60)]
    request = storing(*people, "Ron Delia speaks for Amcor.", embedding=WORDLLAMA)
    keyless.post("/embed_and_store", request)
    answer = keyless.post("/retrieve", query("Who leads the department at Amcor's town hall?", limit=3)).json()
    assert request["chunks"][60]["id"] in [hit["chunk"] for hit in answer["hits"]]
    assert all(0 <= hit["score"] <= 1 for hit in answer["hits"])


def test_a_heading_is_found_with_its_text(keyless: Caller) -> None:
    request = storing("Sales rose by four percent.", "Sales fell by two percent.", embedding=WORDLLAMA)
    request["chunks"][1]["heading"] = "Amcor annual report"
    keyless.post("/embed_and_store", request)
    hits = keyless.post("/retrieve", query("What happened to sales at Amcor?")).json()["hits"]
    assert hits[0]["chunk"] == request["chunks"][1]["id"]


def test_confidence_tells_a_question_from_nowhere(keyless: Caller) -> None:
    keyless.post("/embed_and_store", storing("The oil price rose.", "The harvest failed.", embedding=WORDLLAMA))
    assert keyless.post("/retrieve", query("Did the oil price rise?")).json()["confidence"] > 0.2
    assert keyless.post("/retrieve", query("How do I milk a giraffe?")).json()["confidence"] < 0.1


def test_a_question_of_joining_words_goes_by_meaning_alone(keyless: Caller) -> None:
    keyless.post("/embed_and_store", storing("The oil price rose.", embedding=WORDLLAMA))
    answer = keyless.post("/retrieve", query("What is it?")).json()
    assert (len(answer["hits"]), answer["confidence"]) == (1, 1)


def test_what_was_stored_before_there_was_a_lexical_index_gets_one(keyless: Caller, agent_database_url: str) -> None:
    request = storing("The oil price rose.", "The harvest failed.", embedding=WORDLLAMA)
    keyless.post("/embed_and_store", request)
    forget(agent_database_url, keyless.namespace)
    assert {one["complete"] for one in keyless.post("/vectors/list", {}).json()["vectors"]} == {False}
    again = keyless.post("/embed_and_store", request).json()
    assert (again["stored"], again["present"], again["usage"]["input_tokens"]) == (0, 2, 0)
    assert {one["complete"] for one in keyless.post("/vectors/list", {}).json()["vectors"]} == {True}


def test_what_only_the_lexical_index_has_is_listed_and_deleted(keyless: Caller, agent_database_url: str) -> None:
    request = storing("The oil price rose.", "The harvest failed.", embedding=WORDLLAMA)
    keyless.post("/embed_and_store", request)
    with psycopg.connect(agent_database_url) as connection:
        of = "lexicon = (select id from vectors.lexicon where namespace = %s)"
        connection.execute(f"delete from vectors.vector where {of}", (keyless.namespace,))  # noqa: S608 - constants
    listed = keyless.post("/vectors/list", {"limit": 1}).json()
    assert (len(listed["vectors"]), listed["vectors"][0]["complete"], listed["next"] is None) == (1, False, False)
    assert keyless.post("/vectors/delete", {}).json() == {"deleted": 2, "remaining": 0}
    assert keyless.post("/vectors/list", {}).json()["vectors"] == []


def forget(url: str, namespace: str) -> None:
    """The namespace's part of the lexical index, as if it had never been."""
    with psycopg.connect(url) as connection:
        of = sql.SQL("where lexicon = (select id from vectors.lexicon where namespace = {})").format(namespace)
        for table in ("posting", "namespace_stat", "lexical_chunk"):
            connection.execute(sql.SQL("delete from vectors.{} {}").format(sql.Identifier(table), of))
