from typing import Any
from uuid import UUID, uuid4

import pytest

from agent_service.contract import DeleteVectorsRequest
from agent_service.pipeline.calling import Limits, Policy, Upstream
from agent_service.pipeline.lexical import indexed
from agent_service.pipeline.storing import LexicalShelf, Shelf, delete_vectors
from agent_service.ports import LexicalChunk, StoredChunk
from agent_service.providers.pgvector import PgvectorStore
from agent_service.providers.postings import PostingIndex
from agent_service.settings import Settings
from tests.agent_service.calls import Caller, new_caller, of_one_document, storing

DOCUMENTS = [str(uuid4()) for _ in range(2)]
VERSIONS = [str(uuid4()) for _ in range(2)]


@pytest.fixture
def filled(keyless: Caller) -> Caller:
    """Two documents of two versions of three chunks each."""
    for document in DOCUMENTS:
        for version in VERSIONS:
            chunks = of_one_document("a", "b", "c", document=document, version=version)
            request = storing(embedding="local:wordllama:256", chunks=chunks)
            assert keyless.post("/embed_and_store", request).status_code == 200
    return keyless


def left(caller: Caller) -> set[tuple[str, str]]:
    vectors = caller.post("/vectors/list", {}).json()["vectors"]
    return {(vector["document"], vector["version"]) for vector in vectors}


ALL = {(document, version) for document in DOCUMENTS for version in VERSIONS}
DELETIONS: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "everything": ({}, set()),
    "a document": ({"document": DOCUMENTS[0]}, {pair for pair in ALL if pair[0] != DOCUMENTS[0]}),
    "a version of a document": (
        {"document": DOCUMENTS[0], "version": VERSIONS[1]},
        ALL - {(DOCUMENTS[0], VERSIONS[1])},
    ),
    "all but a version": ({"document": DOCUMENTS[1], "keep_version": VERSIONS[0]}, ALL - {(DOCUMENTS[1], VERSIONS[1])}),
    "a version everywhere": ({"version": VERSIONS[0]}, {pair for pair in ALL if pair[1] != VERSIONS[0]}),
    "what is not there": ({"document": str(uuid4())}, ALL),
}


@pytest.mark.parametrize("which", DELETIONS)
def test_deletes_what_is_named_and_counts_what_is_left_of_it(filled: Caller, which: str) -> None:
    request, remains = DELETIONS[which]
    answer = filled.post("/vectors/delete", request).json()
    assert answer == {"deleted": 3 * len(ALL - remains), "remaining": 0}
    assert left(filled) == remains
    assert filled.post("/vectors/delete", request).json() == {"deleted": 0, "remaining": 0}


def test_nothing_of_another_namespace_is_deleted(filled: Caller) -> None:
    stranger = new_caller(filled.url)
    for request, _ in DELETIONS.values():
        assert stranger.post("/vectors/delete", request).json()["deleted"] == 0
    assert left(filled) == ALL


def test_lists_in_pages_by_chunk(filled: Caller) -> None:
    pages, after = [], None
    while True:
        page = filled.post("/vectors/list", {"limit": 5, "after": after}).json()
        pages.append([vector["chunk"] for vector in page["vectors"]])
        after = page["next"]
        if after is None:
            break
    assert [len(page) for page in pages] == [5, 5, 2]
    chunks = [chunk for page in pages for chunk in page]
    assert chunks == sorted(chunks)
    assert len(set(chunks)) == 12


class Forgetful(PgvectorStore):
    """Says that it deleted, and did not."""

    async def delete(self, namespace: str, *_: UUID | None) -> int:
        return 12


class ForgetfulIndex(PostingIndex):
    """The same."""

    async def delete(self, namespace: str, *_: UUID | None) -> int:
        return 12


@pytest.mark.parametrize(
    ("store_class", "index_class", "left"),
    [(Forgetful, PostingIndex, 1), (PgvectorStore, ForgetfulIndex, 1), (Forgetful, ForgetfulIndex, 2)],
)
async def test_what_is_left_in_either_index_was_counted_and_not_assumed(
    agent_settings: Settings, store_class: type[PgvectorStore], index_class: type[PostingIndex], left: int
) -> None:
    store = store_class(agent_settings)
    index, namespace, limits = index_class(store.database), f"kept-{uuid4()}", Limits(5)
    ids = (uuid4(), uuid4(), uuid4())
    await store.upsert(namespace, [StoredChunk(*ids, [1.0])])
    await index.upsert(namespace, [LexicalChunk(*ids, indexed("oil"))])
    upstream = Upstream("store", Policy())
    shelf = Shelf(store, upstream, limits, limits, LexicalShelf(index, upstream, limits, limits))
    answer = await delete_vectors(DeleteVectorsRequest(), namespace=namespace, shelf=shelf)
    await store.aclose()
    assert (answer.deleted, answer.remaining) == (12, left)
