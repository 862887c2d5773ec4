"""A search in many namespaces, which the token names by their hash."""

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.agent_service.calls import Caller, new_caller, storing
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedEmbedder

WORDLLAMA = "local:wordllama:256"
OTHER = "local:wordllama:128"


def sha256_of(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def told(names: Sequence[str], *, embedding: str = WORDLLAMA, whole: bool = True) -> dict[str, Any]:
    names = sorted(names)
    return {"embedding": embedding, "sha256": sha256_of(names), "names": names if whole else None}


def search(
    caller: Caller, *sets: dict[str, Any], claims: dict[str, Any] | None = None, **fields: Any
) -> httpx.Response:
    """With a token of just these sets, unless `claims` say otherwise."""
    request = {"sets": list(sets), "query": "Which word opens the vault?", "limit": 5} | fields
    meant = {"namespace": None, "bot": None, "namespaces_sha256": sha256_of([one["sha256"] for one in sets])}
    return caller.post("/retrieve/across", request, claims=meant | (claims or {}))


def stored(url: str, *texts: str, embedding: str = WORDLLAMA) -> tuple[str, list[str]]:
    """The namespace and the chunks."""
    caller = new_caller(url)
    request = storing(*texts, embedding=embedding)
    assert caller.post("/embed_and_store", request).status_code == HTTPStatus.OK
    return caller.namespace, [chunk["id"] for chunk in request["chunks"]]


def chunks(response: httpx.Response) -> list[str]:
    assert response.status_code == HTTPStatus.OK, response.text
    return [hit["chunk"] for hit in response.json()["hits"]]


def test_finds_the_best_of_all_of_them(keyless: Caller) -> None:
    rest = [stored(keyless.url, f"Branch {n} sells bread.")[0] for n in range(5)]
    vault, (found,) = stored(keyless.url, "The vault is opened with the word sesame.")
    assert chunks(search(keyless, told([vault, *rest])))[0] == found


def test_ranks_as_if_all_were_one(keyless: Caller) -> None:
    """The words of one small namespace are no rarer than they are in all of them together."""
    texts = [f"The vault of branch {n} holds gold and the word is kept." for n in range(12)]
    apart = [stored(keyless.url, text) for text in texts]
    together, ids = stored(keyless.url, *texts)
    query = "Which branch 7 vault holds the word?"
    many = search(keyless, told([name for name, _ in apart]), query=query, limit=12).json()
    one = keyless.post(
        "/retrieve", {"embedding": WORDLLAMA, "query": query, "limit": 12}, claims={"namespace": together}
    ).json()
    place = {chunk: n for n, (_, (chunk,)) in enumerate(apart)}
    assert {place[hit["chunk"]]: hit["score"] for hit in many["hits"]} == pytest.approx(
        {ids.index(hit["chunk"]): hit["score"] for hit in one["hits"]}, abs=1e-4
    )
    assert many["confidence"] == pytest.approx(one["confidence"], abs=1e-3)


def test_nothing_of_a_namespace_that_is_not_named(keyless: Caller) -> None:
    vault, _ = stored(keyless.url, "The vault is opened with the word sesame.")
    bread, ids = stored(keyless.url, "Bread is sold here.")
    assert vault != bread
    assert chunks(search(keyless, told([bread]))) == ids


def test_namespaces_that_hold_nothing_do_no_harm(keyless: Caller) -> None:
    bread, ids = stored(keyless.url, "Bread is sold here.")
    assert chunks(search(keyless, told([bread, f"bot-{uuid4().hex}"]))) == ids


def test_names_are_told_once(keyless: Caller) -> None:
    bread, ids = stored(keyless.url, "Bread is sold here.")
    unknown = search(keyless, told([bread], whole=False))
    assert (unknown.status_code, unknown.json()["code"]) == (HTTPStatus.CONFLICT, "unknown_namespaces")
    assert chunks(search(keyless, told([bread]))) == chunks(search(keyless, told([bread], whole=False))) == ids


def test_what_is_stored_after_the_names_were_told_is_found(keyless: Caller) -> None:
    caller = new_caller(keyless.url)
    names = [caller.namespace, stored(keyless.url, "Bread is sold here.")[0]]
    search(keyless, told(names))
    request = storing("The vault is opened with the word sesame.", embedding=WORDLLAMA)
    caller.post("/embed_and_store", request)
    assert request["chunks"][0]["id"] in _after_a_while(keyless, names)


def _after_a_while(keyless: Caller, names: Sequence[str]) -> list[str]:
    import time

    for _ in range(20):
        if len(found := chunks(search(keyless, told(names)))) > 1:
            break
        time.sleep(0.5)
    return found


def test_the_words_alone(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder()
    caller = start_agent(embedder=embedder)
    names = [stored(caller.url, text, embedding=embedder.id)[0] for text in ("The vault.", "A word.")]
    asked = len(embedder.batches)
    response = search(caller, told(names, embedding=embedder.id), lexical_only=True)
    assert (len(chunks(response)), response.json()["degraded"]) == (2, True)
    assert len(embedder.batches) == asked


def test_one_embedding_is_asked_once_for_all(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder()
    caller = start_agent(embedder=embedder)
    sets = [told([stored(caller.url, text, embedding=embedder.id)[0]], embedding=embedder.id) for text in "ab"]
    asked = len(embedder.batches)
    assert len(chunks(search(caller, *sets))) == 2
    assert len(embedder.batches) == asked + 1


def test_two_embeddings_are_searched_together(keyless: Caller) -> None:
    one, (first,) = stored(keyless.url, "The vault is opened with the word sesame.")
    two, (second,) = stored(keyless.url, "The vault is opened with a key.", embedding=OTHER)
    assert set(chunks(search(keyless, told([one]), told([two], embedding=OTHER)))) == {first, second}


@pytest.mark.parametrize(
    "claims",
    [
        {"namespaces_sha256": None},
        {"namespaces_sha256": sha256_of(["x"])},
        {"namespace": "bot-1"},
        {"namespace": "bot-1", "namespaces_sha256": None},
    ],
    ids=["of nothing", "of others", "of one as well", "of one"],
)
def test_another_token_opens_nothing(keyless: Caller, claims: dict[str, Any]) -> None:
    bread, _ = stored(keyless.url, "Bread is sold here.")
    assert search(keyless, told([bread]), claims=claims).status_code == HTTPStatus.FORBIDDEN


def test_a_list_that_is_not_of_its_hash_is_refused_and_not_remembered(keyless: Caller) -> None:
    bread, _ = stored(keyless.url, "Bread is sold here.")
    vault, _ = stored(keyless.url, "The vault.")
    forged = told([bread]) | {"names": [bread, vault]}
    assert search(keyless, forged).status_code == HTTPStatus.FORBIDDEN
    assert search(keyless, told([bread], whole=False)).status_code == HTTPStatus.CONFLICT


@pytest.mark.parametrize("path", ["/retrieve", "/vectors/list", "/vectors/delete", "/embed_and_store"])
def test_a_token_of_many_opens_no_single_one(keyless: Caller, path: str) -> None:
    body = {
        "/retrieve": {"embedding": WORDLLAMA, "query": "x", "limit": 1},
        "/embed_and_store": storing("x", embedding=WORDLLAMA),
    }.get(path, {})
    for namespace in (None, keyless.namespace):
        claims = {"namespace": namespace, "namespaces_sha256": sha256_of([keyless.namespace])}
        assert keyless.post(path, body, claims=claims).status_code == HTTPStatus.FORBIDDEN
