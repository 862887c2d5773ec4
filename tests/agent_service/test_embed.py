"""`POST /embed`: vectors for whoever asks, kept nowhere."""

import pytest

from agent_service.ports import Vector
from tests.agent_service.calls import Caller
from tests.agent_service.conftest import StartAgent
from tests.agent_service.doubles import ScriptedEmbedder

GIVEN = ["Glaciers move.", "Rivers freeze."]
TEXTS = {"embedding": "local:wordllama:256", "texts": GIVEN}


def test_gives_unit_vectors_in_the_order_of_the_texts(keyless: Caller) -> None:
    answer = keyless.post("/embed", TEXTS).json()
    swapped = keyless.post("/embed", {**TEXTS, "texts": GIVEN[::-1]}).json()
    assert [round(sum(x * x for x in vector), 3) for vector in answer["vectors"]] == [1.0, 1.0]
    assert answer["vectors"] == swapped["vectors"][::-1]
    assert answer["usage"]["input_tokens"] == 8


def test_nothing_of_it_is_stored(keyless: Caller) -> None:
    keyless.post("/embed", TEXTS)
    assert keyless.post("/vectors/list", {}).json()["vectors"] == []


def test_bad_embeddings_are_not_handed_out(start_agent: StartAgent) -> None:
    def spoiled(vectors: list[Vector]) -> list[Vector]:
        return [[float("nan")] * len(vector) for vector in vectors]

    caller = start_agent(embedder=ScriptedEmbedder(spoil=spoiled))
    refused = caller.post("/embed", {**TEXTS, "embedding": "fake:letters:8"})
    assert (refused.status_code, refused.json()["code"]) == (502, "embedding_invalid")


@pytest.mark.parametrize("texts", [[], [""], ["x"] * 257, ["x" * 40_001], "text", None])
def test_what_is_no_list_of_texts_is_refused(keyless: Caller, texts: object) -> None:
    assert keyless.post("/embed", {**TEXTS, "texts": texts}).status_code == 422
