"""The emulated Pinecone as a plain HTTP client sees it."""

import time
from typing import Any

import httpx
import pytest

from tests.emulators.pinecone import PineconeEmulator

RECORDS = [
    {"id": "a", "values": [1, 0, 0], "metadata": {"kind": "x", "size": 1}},
    {"id": "b", "values": [0, 1, 0], "metadata": {"kind": "y", "size": 2, "tags": ["p", "q"]}},
    {"id": "c", "values": [0.9, 0.1, 0], "metadata": {"kind": "x", "size": 3}},
]


@pytest.fixture
def filled(index: httpx.Client) -> httpx.Client:
    assert index.post("/vectors/upsert", json={"vectors": RECORDS, "namespace": "n"}).json() == {"upsertedCount": 3}
    return index


def found(index: httpx.Client, **body: Any) -> list[str]:
    query = {"vector": [1, 0, 0], "topK": 10, "namespace": "n", **body}
    return [match["id"] for match in index.post("/query", json=query).json()["matches"]]


def test_the_nearest_come_first(filled: httpx.Client) -> None:
    assert found(filled) == ["a", "c", "b"]
    assert found(filled, topK=1) == ["a"]
    assert found(filled, namespace="other") == []


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"kind": "x"}, ["a", "c"]),
        ({"kind": {"$eq": "y"}}, ["b"]),
        ({"kind": {"$ne": "x"}}, ["b"]),
        ({"kind": {"$in": ["y", "z"]}}, ["b"]),
        ({"kind": {"$nin": ["y"]}}, ["a", "c"]),
        ({"size": {"$gt": 1, "$lte": 3}}, ["c", "b"]),
        ({"size": {"$gte": 2, "$lt": 3}}, ["b"]),
        ({"tags": {"$exists": True}}, ["b"]),
        ({"tags": "q"}, ["b"]),
        ({"$and": [{"kind": "x"}, {"size": 3}]}, ["c"]),
        ({"$or": [{"kind": "y"}, {"size": 1}]}, ["a", "b"]),
    ],
)
def test_filters(filled: httpx.Client, condition: dict[str, Any], ids: list[str]) -> None:
    assert found(filled, filter=condition) == ids


@pytest.mark.parametrize("wrong", [{"$xor": []}, {"kind": {"$like": "x"}}, {"$and": []}, {"kind": {"$in": "x"}}, ["x"]])
def test_a_wrong_filter_is_refused(filled: httpx.Client, wrong: Any) -> None:
    response = filled.post("/query", json={"vector": [1, 0, 0], "topK": 1, "namespace": "n", "filter": wrong})
    assert (response.status_code, response.json()["code"]) == (400, 3)


def test_values_and_metadata_only_where_asked(filled: httpx.Client) -> None:
    body = {"id": "a", "topK": 1, "namespace": "n"}
    assert set(filled.post("/query", json=body).json()["matches"][0]) == {"id", "score"}
    body |= {"includeValues": True, "includeMetadata": True}
    assert set(filled.post("/query", json=body).json()["matches"][0]) == {"id", "score", "values", "metadata"}


@pytest.mark.parametrize(
    ("what", "left"),
    [({"ids": ["a", "zz"]}, ["c", "b"]), ({"filter": {"kind": "x"}}, ["b"]), ({"deleteAll": True}, [])],
)
def test_deletions(filled: httpx.Client, what: dict[str, Any], left: list[str]) -> None:
    assert filled.post("/vectors/delete", json={"namespace": "n", **what}).status_code == 200
    assert found(filled) == left


def test_deleting_in_an_unknown_namespace_is_not_found(index: httpx.Client) -> None:
    assert index.post("/vectors/delete", json={"namespace": "?", "deleteAll": True}).status_code == 404


def test_ids_are_listed_in_order_by_prefix_and_page(index: httpx.Client) -> None:
    records = [{"id": f"{letter}{number}", "values": [1, 2, 3]} for letter in "ba" for number in range(5)]
    index.post("/vectors/upsert", json={"vectors": records, "namespace": "n"})
    first = index.get("/vectors/list", params={"namespace": "n", "prefix": "a", "limit": 3}).json()
    assert [entry["id"] for entry in first["vectors"]] == ["a0", "a1", "a2"]
    token = first["pagination"]["next"]
    rest = index.get("/vectors/list", params={"namespace": "n", "prefix": "a", "paginationToken": token}).json()
    assert [entry["id"] for entry in rest["vectors"]] == ["a3", "a4"]
    assert "pagination" not in rest


def test_records_are_fetched_by_id(filled: httpx.Client) -> None:
    answer = filled.get("/vectors/fetch", params={"ids": ["b", "zz"], "namespace": "n"}).json()
    assert answer["vectors"] == {"b": RECORDS[1]}


def test_statistics_count_by_namespace(filled: httpx.Client) -> None:
    answer = filled.post("/describe_index_stats", json={}).json()
    assert answer["namespaces"] == {"n": {"vectorCount": 3}}
    assert (answer["dimension"], answer["totalVectorCount"]) == (3, 3)
    assert filled.post("/describe_index_stats", json={"filter": {"kind": "x"}}).status_code == 400


@pytest.mark.parametrize(
    "vector",
    [
        {"id": "x", "values": [1, 2]},
        {"id": "x", "values": [0, 0, 0]},
        {"id": "x", "values": [1, 2, "three"]},
        {"id": "x", "values": [1, 2, float("inf")]},
        {"id": "", "values": [1, 2, 3]},
        {"values": [1, 2, 3]},
    ],
)
def test_a_vector_that_cannot_be_is_refused(index: httpx.Client, vector: dict[str, Any]) -> None:
    body = httpx.Request(
        "POST", "http://x", content=str({"vectors": [vector]}).replace("'", '"').replace("inf", "Infinity")
    )
    assert index.post("/vectors/upsert", content=body.content).status_code == 400


def test_limits_of_one_request(index: httpx.Client) -> None:
    assert index.post("/vectors/upsert", json={"vectors": []}).status_code == 400
    assert index.post("/vectors/upsert", json={"vectors": [RECORDS[0]] * 1001}).status_code == 400
    assert index.post("/query", json={"vector": [1, 0, 0], "topK": 10_001}).status_code == 400
    assert index.get("/vectors/list", params={"limit": 101}).status_code == 400
    assert index.get("/vectors/fetch").status_code == 400
    assert index.post("/vectors/delete", json={"namespace": "n"}).status_code in (400, 404)


def test_a_key_is_needed(index: httpx.Client) -> None:
    for key in ("", "other"):
        assert index.get("/indexes", headers={"api-key": key}).status_code == 401


def test_indexes_are_made_described_listed_and_dropped(index: httpx.Client) -> None:
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    made = index.post("/indexes", json={"name": "new", "dimension": 2, "metric": "dotproduct", "spec": spec})
    assert (made.status_code, made.json()["status"]["ready"]) == (201, True)
    assert index.post("/indexes", json={"name": "new", "dimension": 2, "spec": spec}).status_code == 409
    assert index.post("/indexes", json={"name": "bad"}).status_code == 400
    host = index.get("/indexes/new").json()["host"]
    assert httpx.post(f"{host}/describe_index_stats", json={}, headers=index.headers).json()["dimension"] == 2
    assert "new" in [entry["name"] for entry in index.get("/indexes").json()["indexes"]]
    assert index.delete("/indexes/new").status_code == 202
    assert index.get("/indexes/new").status_code == 404


@pytest.mark.parametrize(("metric", "nearest"), [("euclidean", "near"), ("dotproduct", "long")])
def test_metrics(index: httpx.Client, metric: str, nearest: str) -> None:
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    index.post("/indexes", json={"name": metric, "dimension": 2, "metric": metric, "spec": spec})
    records = [{"id": "near", "values": [1, 1]}, {"id": "long", "values": [9, 1]}]
    index.post(f"/i/{metric}/vectors/upsert", json={"vectors": records})
    matches = index.post(f"/i/{metric}/query", json={"vector": [1, 0.5], "topK": 1}).json()["matches"]
    assert matches[0]["id"] == nearest


def test_a_write_is_seen_after_the_lag_and_the_numbers_say_so(index: httpx.Client, pinecone: PineconeEmulator) -> None:
    pinecone.lag = 0.2
    body = {"vectors": RECORDS, "namespace": "n"}
    assert index.post("/vectors/upsert", json=body).headers["x-pinecone-request-lsn"] == "1"
    query = {"vector": [1, 0, 0], "topK": 5, "namespace": "n"}
    early = index.post("/query", json=query)
    assert (early.json()["matches"], early.headers["x-pinecone-max-indexed-lsn"]) == ([], "0")
    time.sleep(0.25)
    late = index.post("/query", json=query)
    assert (len(late.json()["matches"]), late.headers["x-pinecone-max-indexed-lsn"]) == (3, "1")
