import threading
import time
from uuid import uuid4

import httpx
import pytest

from agent_service.errors import UpstreamError
from agent_service.ports import Vector
from tests.agent_service.calls import Caller, chunk, new_caller, of_one_document, storing
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedEmbedder


def stored_ids(caller: Caller) -> set[str]:
    return {vector["chunk"] for vector in caller.post("/vectors/list", {}).json()["vectors"]}


def ids(request: dict[str, list[dict[str, str]]]) -> set[str]:
    return {chunk["id"] for chunk in request["chunks"]}


def test_stores_every_chunk_and_says_what_it_cost(keyless: Caller) -> None:
    request = storing("Glaciers move.", "Rivers freeze.", embedding="local:wordllama:256")
    response = keyless.post("/embed_and_store", request)
    assert response.status_code == 200
    assert response.json() == {
        "stored": 2,
        "present": 0,
        "usage": {"provider": "local", "model": "wordllama", "input_tokens": 8, "output_tokens": 0, "estimated": True},
    }
    assert stored_ids(keyless) == ids(request)


def test_a_resume_embeds_only_what_is_missing(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder()
    caller = start_agent(embedder=embedder)
    request = storing("one", "two")
    caller.post("/embed_and_store", request)
    request["chunks"].append(chunk("three"))
    answer = caller.post("/embed_and_store", request).json()
    assert (answer["stored"], answer["present"]) == (1, 2)
    assert embedder.batches == [["one", "two"], ["three"]]


def test_a_repeat_costs_nothing(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder()
    caller = start_agent(embedder=embedder)
    request = storing("one")
    caller.post("/embed_and_store", request)
    answer = caller.post("/embed_and_store", request).json()
    assert (answer["stored"], answer["present"]) == (0, 1)
    assert answer["usage"] == {
        "provider": "fake",
        "model": "letters",
        "input_tokens": 0,
        "output_tokens": 0,
        "estimated": False,
    }
    assert len(embedder.batches) == 1


def test_the_same_id_twice_in_a_request_is_stored_once(start_agent: StartAgent) -> None:
    caller = start_agent()
    one = chunk("one")
    answer = caller.post("/embed_and_store", storing(chunks=[one, one])).json()
    assert (answer["stored"], answer["present"]) == (1, 1)


def test_overlapping_identical_requests_embed_once(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(seconds=0.2)
    caller = start_agent(embedder=embedder)
    request = storing("one", "two")
    answers: list[dict[str, int]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(caller.post("/embed_and_store", request).json()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(embedder.batches) == 1
    assert sorted(answer["stored"] for answer in answers) == [0, 0, 0, 2]


def test_batches_of_one_document_do_not_wait_for_each_other(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(seconds=0.3)
    caller = start_agent(embedder=embedder)
    chunks = of_one_document("one", "two", "three", "four")
    started = time.monotonic()
    threads = [threading.Thread(target=caller.post, args=("/embed_and_store", storing(chunks=[one]))) for one in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(embedder.batches) == 4
    assert time.monotonic() - started < 1.1


def test_chunks_of_several_documents_are_each_stored_under_their_own(start_agent: StartAgent) -> None:
    caller = start_agent()
    chunks = [*of_one_document("one", "two"), *of_one_document("three")]
    assert caller.post("/embed_and_store", storing(chunks=chunks)).json()["stored"] == 3
    caller.post("/vectors/delete", {"document": chunks[0]["document"]})
    assert stored_ids(caller) == {chunks[2]["id"]}


def test_overlapping_requests_wait_only_for_what_they_share(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(seconds=0.2)
    caller = start_agent(embedder=embedder)
    one, two, three = of_one_document("one", "two", "three")
    threads = [
        threading.Thread(target=caller.post, args=("/embed_and_store", storing(chunks=chunks)))
        for chunks in ([one, two], [two, three])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(text for batch in embedder.batches for text in batch) == ["one", "three", "two"]


def test_documents_do_not_wait_for_each_other(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(seconds=0.3)
    caller = start_agent(embedder=embedder)
    started = time.monotonic()
    threads = [threading.Thread(target=caller.post, args=("/embed_and_store", storing(f"t{n}"))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(embedder.batches) == 4
    assert time.monotonic() - started < 1.1


def test_runs_to_its_end_when_the_caller_leaves(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(seconds=0.5)
    caller = start_agent(embedder=embedder)
    request = storing("kept")
    with pytest.raises(httpx.ReadTimeout):
        caller.post("/embed_and_store", request, timeout=0.2)
    deadline = time.monotonic() + 5
    while not stored_ids(caller) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stored_ids(caller) == ids(request)


NONSENSE = {
    "one short": (lambda vectors: vectors[:-1], "count"),
    "one too many": (lambda vectors: [*vectors, vectors[0]], "count"),
    "none": (lambda vectors: [], "count"),
    "wrong dimension": (lambda vectors: [vectors[0][:-1], *vectors[1:]], "dimension"),
    "an empty one": (lambda vectors: [[], *vectors[1:]], "dimension"),
    "NaN": (lambda vectors: [[float("nan")] * 8, *vectors[1:]], "not_finite"),
    "infinity": (lambda vectors: [*vectors[:-1], [float("inf")] * 8], "not_finite"),
    "zero": (lambda vectors: [[0.0] * 8, *vectors[1:]], "zero"),
    "text": (lambda vectors: [["a"] * 8, *vectors[1:]], "not_numbers"),
    "null": (lambda vectors: [[None] * 8, *vectors[1:]], "not_finite"),
}


@pytest.mark.parametrize("spoiled", NONSENSE)
def test_bad_embeddings_never_get_in(start_agent: StartAgent, spoiled: str) -> None:
    spoil, reason = NONSENSE[spoiled]
    caller = start_agent(embedder=ScriptedEmbedder(spoil=spoil))
    response = caller.post("/embed_and_store", storing("one", "two"))
    assert (response.status_code, response.json()["code"]) == (502, "embedding_invalid")
    assert response.json()["details"]["reason"] == reason
    assert stored_ids(caller) == set()


def test_vectors_are_stored_at_unit_length(start_agent: StartAgent) -> None:
    def enlarged(vectors: list[Vector]) -> list[Vector]:
        return [[number * 1e200 for number in vector] for vector in vectors]

    caller = start_agent(embedder=ScriptedEmbedder(spoil=enlarged))
    caller.post("/embed_and_store", storing("one"))
    [hit] = caller.post("/retrieve", {"embedding": "fake:letters:8", "query": "one", "limit": 5}).json()["hits"]
    assert hit["score"] == pytest.approx(1.0, abs=0.002)


def test_passing_faults_of_the_embedder_are_retried(start_agent: StartAgent) -> None:
    embedder = ScriptedEmbedder(faults=[UpstreamError("unavailable", "fake", status=503) for _ in range(2)])
    caller = start_agent(embedder=embedder)
    assert caller.post("/embed_and_store", storing("one")).json()["stored"] == 1
    assert len(embedder.batches) == 3


def test_an_unknown_embedding_is_refused(keyless: Caller) -> None:
    response = keyless.post("/embed_and_store", storing("one", embedding="google:none:768"))
    assert (response.status_code, response.json()["code"]) == (422, "embedding_unknown")
    assert response.json()["details"] == {"embedding": "google:none:768"}


def test_white_space_alone_can_be_embedded(keyless: Caller) -> None:
    response = keyless.post("/embed_and_store", storing(" ", "\n\n", "\x00", "🙂", embedding="local:wordllama:256"))
    assert response.json()["stored"] == 4


def test_namespaces_do_not_see_each_other(start_agent: StartAgent) -> None:
    mine = start_agent()
    theirs = new_caller(mine.url)
    request = storing("secret")
    mine.post("/embed_and_store", request)
    assert theirs.post("/embed_and_store", request).json()["stored"] == 1
    theirs.post("/vectors/delete", {"document": request["chunks"][0]["document"]})
    assert stored_ids(mine) == ids(request)
    assert stored_ids(theirs) == set()


def test_a_body_that_names_a_namespace_is_forbidden(keyless: Caller) -> None:
    for field in ("namespace", "bot", "user"):
        response = keyless.post("/embed_and_store", storing("one", **{field: str(uuid4())}))
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
