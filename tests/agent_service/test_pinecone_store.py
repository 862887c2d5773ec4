"""The Pinecone adapter: the real SDK over HTTP against the emulator."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest

from agent_service.errors import UpstreamError
from agent_service.ports import StoredChunk, Vector
from agent_service.providers.pinecone import PineconeStore
from agent_service.settings import Settings
from tests.agent_service.conftest import VENDOR_DIMENSION
from tests.emulators.embedding import embed
from tests.emulators.pinecone import PineconeEmulator
from tests.emulators.server import Running

BOT = "bot-1"
OTHER = "bot-2"


def vector(text: str, dimension: int = VENDOR_DIMENSION) -> Vector:
    result: Vector = embed(text, dimension).tolist()
    return result


def chunk(number: int, document: int = 1, version: int = 1) -> StoredChunk:
    return StoredChunk(UUID(int=number), UUID(int=document), UUID(int=version), vector(f"text {number}"))


@pytest.fixture
async def store(vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator) -> AsyncIterator[PineconeStore]:
    store = PineconeStore(vendor_settings())
    yield store
    await store.aclose()


async def ids_of(store: PineconeStore, namespace: str = BOT, page: int = 1000) -> list[int]:
    found: list[int] = []
    after = None
    while listed := await store.listing(namespace, after, page):
        found += [one.chunk.int for one in listed]
        after = listed[-1].chunk
    return found


async def test_the_nearest_come_first_with_document_version_and_score(store: PineconeStore) -> None:
    await store.upsert(BOT, [chunk(number, document=number * 10, version=number * 100) for number in range(1, 8)])
    hits = await store.search(BOT, vector("text 5"), 3)
    assert [UUID(bytes=one).int for one in hits[0][:3]] == [5, 50, 500]
    assert hits[0].score == pytest.approx(1, abs=1e-5)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_no_text_is_stored(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [chunk(1)])
    sent = pinecone.journal.of("upsert")[0].body["vectors"][0]
    assert sent["metadata"] == {"document": str(UUID(int=1)), "version": str(UUID(int=1))}
    assert sent["id"] == str(UUID(int=1))


async def test_storing_again_changes_nothing(store: PineconeStore) -> None:
    for _ in range(2):
        await store.upsert(BOT, [chunk(1), chunk(2)])
    assert await store.count(BOT, None, None, None) == 2


async def test_many_chunks_go_in_several_requests(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [chunk(number) for number in range(250)])
    assert pinecone.journal.count("upsert") == 3
    assert await store.count(BOT, None, None, None) == 250


async def test_large_vectors_go_in_smaller_requests(
    vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator
) -> None:
    store = PineconeStore(vendor_settings(pinecone_index="large"), dimension=3072)
    big = [StoredChunk(UUID(int=number), UUID(int=1), UUID(int=1), vector("text", 3072)) for number in range(50)]
    await store.upsert(BOT, big)
    await store.aclose()
    assert {len(call.body["vectors"]) for call in pinecone.journal.of("upsert")} == {24, 2}


async def test_present_are_those_that_are_there(store: PineconeStore) -> None:
    await store.upsert(BOT, [chunk(number) for number in range(150)])
    asked = [UUID(int=number) for number in range(100, 400)]
    assert {found.int for found in await store.present(BOT, asked)} == set(range(100, 150))


async def test_a_namespace_sees_nothing_of_another(store: PineconeStore) -> None:
    await store.upsert(BOT, [chunk(1)])
    assert await store.search(OTHER, vector("text 1"), 5) == []
    assert await store.present(OTHER, [UUID(int=1)]) == set()
    assert await store.count(OTHER, None, None, None) == 0
    assert await store.delete(OTHER, None, None, None) == 0
    assert await ids_of(store) == [1]


@pytest.mark.parametrize("namespace", ["", " ", "__default__"])
async def test_the_namespace_of_nobody_is_refused(
    store: PineconeStore, pinecone: PineconeEmulator, namespace: str
) -> None:
    with pytest.raises(ValueError, match="namespace"):
        await store.search(namespace, vector("text"), 5)
    with pytest.raises(ValueError, match="namespace"):
        await store.delete(namespace, None, None, None)
    with pytest.raises(ValueError, match="namespace"):
        await store.upsert(namespace, [chunk(1)])
    assert pinecone.journal.count() == 0


@pytest.mark.parametrize(
    ("document", "version", "keep_version", "left"),
    [
        (1, None, None, [4, 5]),
        (1, 1, None, [2, 3, 4, 5]),
        (1, None, 2, [2, 3, 4, 5]),
        (None, None, 2, [2, 3, 5]),
        (None, 2, None, [1, 4]),
        (None, None, None, []),
        (9, None, None, [1, 2, 3, 4, 5]),
    ],
)
async def test_what_is_deleted_and_what_is_left(
    store: PineconeStore, document: int | None, version: int | None, keep_version: int | None, left: list[int]
) -> None:
    await store.upsert(BOT, [chunk(1, 1, 1), chunk(2, 1, 2), chunk(3, 1, 2), chunk(4, 2, 1), chunk(5, 2, 2)])
    wanted = [UUID(int=number) if number else None for number in (document, version, keep_version)]
    deleted = await store.delete(BOT, *wanted)
    assert deleted == 5 - len(left)
    assert await store.count(BOT, *wanted) == 0
    assert await ids_of(store) == left


async def test_a_deletion_that_did_nothing_is_seen_in_the_count(
    store: PineconeStore, pinecone: PineconeEmulator
) -> None:
    await store.upsert(BOT, [chunk(1)])
    pinecone.fault("delete", "ignored")
    await store.delete(BOT, UUID(int=1), None, None)
    assert await store.count(BOT, UUID(int=1), None, None) == 1


@pytest.mark.parametrize("page", [1, 70, 100, 130, 1000])
async def test_the_listing_is_whole_and_in_order_by_pages_of_any_size(store: PineconeStore, page: int) -> None:
    count = 12 if page == 1 else 250
    await store.upsert(BOT, [chunk(number, document=number) for number in reversed(range(count))])
    assert await ids_of(store, page=page) == list(range(count))


async def test_the_listing_says_whose_each_is(store: PineconeStore) -> None:
    await store.upsert(BOT, [chunk(1, document=7, version=8)])
    (listed,) = await store.listing(BOT, None, 10)
    assert (listed.chunk.int, listed.document.int, listed.version.int) == (1, 7, 8)


async def test_a_listing_goes_on_where_another_process_began_it(
    store: PineconeStore, vendor_settings: Callable[..., Settings]
) -> None:
    await store.upsert(BOT, [chunk(number) for number in range(250)])
    other = PineconeStore(vendor_settings())
    listed = await other.listing(BOT, UUID(int=149), 1000)
    await other.aclose()
    assert [one.chunk.int for one in listed] == list(range(150, 250))


async def test_the_pages_of_a_long_listing_are_asked_for_once(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [chunk(number) for number in range(450)])
    await ids_of(store, page=100)
    assert pinecone.journal.count("list") <= 10


async def test_nothing_to_do_is_no_call(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.upsert(BOT, [])
    assert await store.present(BOT, []) == set()
    assert pinecone.journal.count() == 0


async def test_the_host_is_looked_up_once(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    for _ in range(3):
        await store.search(BOT, vector("text"), 1)
    assert pinecone.journal.count("indexes.describe") == 1


async def test_a_host_that_is_set_needs_no_control_plane(
    vendor_settings: Callable[..., Settings],
    pinecone_server: Running[PineconeEmulator],
    pinecone: PineconeEmulator,
) -> None:
    store = PineconeStore(vendor_settings(pinecone_host=pinecone_server.url, pinecone_control_url=""))
    await store.check()
    await store.aclose()
    assert [call.route for call in pinecone.journal.calls] == ["stats"]


async def test_a_missing_index_is_made_where_the_dimension_is_known(
    vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator
) -> None:
    store = PineconeStore(vendor_settings(pinecone_index="made"), dimension=8)
    await store.check()
    await store.aclose()
    made = pinecone.indexes["made"]
    assert (made.dimension, made.metric, made.cloud, made.region) == (8, "cosine", "aws", "us-east-1")


async def test_a_missing_index_is_an_error_otherwise(
    vendor_settings: Callable[..., Settings], pinecone: PineconeEmulator
) -> None:
    store = PineconeStore(vendor_settings(pinecone_index="missing"))
    with pytest.raises(UpstreamError) as raised:
        await store.check()
    await store.aclose()
    assert (raised.value.kind, raised.value.upstream_status) == ("rejected", 404)


async def test_the_check_looks_each_time(store: PineconeStore, pinecone: PineconeEmulator) -> None:
    await store.check()
    pinecone.fault("stats", "503")
    with pytest.raises(UpstreamError):
        await store.check()


async def test_chosen_documents_alone_are_searched(store: PineconeStore) -> None:
    await store.upsert(BOT, [chunk(number, document=number) for number in range(1, 30)])
    hits = await store.search(BOT, vector("text 5"), 10, [UUID(int=7), UUID(int=8)])
    assert {UUID(bytes=hit.chunk).int for hit in hits} == {7, 8}
    assert await store.search(BOT, vector("text 5"), 10, []) == []


async def test_many_namespaces_are_asked_one_by_one_and_only_the_first_of_very_many(
    store: PineconeStore, pinecone: PineconeEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_service.providers.pinecone.MOST_NAMESPACES", 3)
    names = [f"bot-{number}" for number in range(1, 6)]
    for number, name in enumerate(names, 1):
        await store.upsert(name, [chunk(number)])
    hits = await store.search_many(names, vector("text 2"), 2)
    assert UUID(bytes=hits[0].chunk).int == 2
    assert len(hits) == 2
    assert pinecone.journal.count("query") == 3
