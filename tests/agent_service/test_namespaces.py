"""The names of all namespaces, for the operator who looks for those that belong to nobody any more."""

from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent_service.ports import StoredChunk
from agent_service.providers.pinecone import PineconeStore
from agent_service.settings import Settings
from tests.agent_service.calls import Caller, new_caller, storing
from tests.agent_service.conftest import VENDOR_DIMENSION
from tests.emulators.pinecone import PineconeEmulator

WORDLLAMA = "local:wordllama:256"
NOBODY = {"user": None, "bot": None, "namespace": None}


def listed(caller: Caller, **request: Any) -> Any:
    response = caller.post("/vectors/namespaces", request, claims=NOBODY)
    assert response.status_code == HTTPStatus.OK, response.text
    return response.json()


def stored(url: str, namespace: str) -> Caller:
    caller = new_caller(url)
    caller = Caller(url, namespace, caller.user, caller.bot)
    assert caller.post("/embed_and_store", storing("Moon.", embedding=WORDLLAMA)).status_code == HTTPStatus.OK
    return caller


def test_all_that_hold_anything_in_order(keyless: Caller) -> None:
    prefix = f"list-{uuid4().hex}"
    for name in ("-2", "", "-10"):
        caller = stored(keyless.url, prefix + name)
    assert listed(keyless, prefix=prefix) == {"namespaces": [prefix, f"{prefix}-10", f"{prefix}-2"], "next": None}
    caller.post("/vectors/delete", {})
    assert listed(keyless, prefix=prefix)["namespaces"] == [prefix, f"{prefix}-2"]


def test_page_by_page(keyless: Caller) -> None:
    prefix = f"page-{uuid4().hex}"
    names = sorted(f"{prefix}-{number}" for number in range(5))
    for name in names:
        stored(keyless.url, name)
    found, after = [], ""
    while True:
        page = listed(keyless, prefix=prefix, after=after, limit=2)
        found += page["namespaces"]
        if page["next"] is None:
            break
        after = page["next"]
    assert found == names


@pytest.mark.parametrize("claim", ["user", "bot", "namespace"])
def test_a_token_for_somebody_is_refused(keyless: Caller, claim: str) -> None:
    somebody = {"user": str(keyless.user), "bot": str(keyless.bot), "namespace": keyless.namespace}
    response = keyless.post("/vectors/namespaces", {}, claims=NOBODY | {claim: somebody[claim]})
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.FORBIDDEN, "forbidden")


@pytest.fixture
async def pinecone_store(
    vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator
) -> AsyncIterator[PineconeStore]:
    store = PineconeStore(vendor_settings(), VENDOR_DIMENSION)
    yield store
    await store.aclose()


async def test_pinecones_are_those_of_its_statistics(pinecone_store: PineconeStore) -> None:
    chunk = StoredChunk(UUID(int=1), UUID(int=2), UUID(int=3), [1.0] * VENDOR_DIMENSION)
    for name in ("bot-a", "bot-a-1", "other"):
        await pinecone_store.upsert(name, [chunk])
    await pinecone_store.delete("bot-a-1", None, None, None)
    assert await pinecone_store.namespaces("bot-") == ["bot-a"]
    assert sorted(await pinecone_store.namespaces("")) == ["bot-a", "other"]
