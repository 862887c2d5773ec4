"""Pinecone's public REST, control and data plane of API version 2025-04, in memory.

Several indexes live behind one address: `/i/<name>/…` is the data plane of each, without a prefix that of the first.
Reads see a write `lag` seconds later; log sequence numbers say which.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.emulators.emulator import Emulator, Handler, Request, VendorError
from tests.emulators.vector_index import BadFilter, Metadata, Namespace, Record, VectorIndex, Write, matcher

MAX_UPSERT = 1000
MAX_UPSERT_BYTES = 2 * 2**20
MAX_IDS = 1000
MAX_TOP_K = 10_000
MAX_LIST = 100

STATUS_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 500: 13, 503: 14}

_CONTROL = re.compile(r"^/indexes(?:/(?P<name>[^/]+))?$")
_DATA = re.compile(
    r"^(?:/i/(?P<index>[^/]+))?/(?P<verb>vectors/upsert|vectors/delete|vectors/list|vectors/fetch|query|describe_index_stats)$"
)


class PineconeEmulator(Emulator):
    key_header = "api-key"

    def __init__(
        self, api_key: str | None = None, index: str | None = "chatsphere", dimension: int = 768, lag: float = 0.0
    ) -> None:
        super().__init__(api_key)
        self.lag = lag
        self.indexes: dict[str, VectorIndex] = {}
        if index:
            self.indexes[index] = VectorIndex(index, dimension)

    def reset(self) -> None:
        super().reset()
        self.lag = 0.0
        for index in self.indexes.values():
            index.namespaces.clear()

    def command(self, order: dict[str, Any]) -> None:
        super().command(order)
        self.lag = float(order.get("lag", self.lag))
        if order.get("wipe"):
            for index in self.indexes.values():
                index.namespaces.clear()

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "lag": self.lag,
            "indexes": {name: self._counts(index) for name, index in self.indexes.items()},
        }

    def match(self, method: str, path: str) -> tuple[str, Handler, Mapping[str, str]] | None:
        data = _DATA.match(path)
        if data:
            route = data["verb"].rpartition("/")[2].replace("describe_index_stats", "stats")
            handlers: dict[str, Handler] = {
                "upsert": self._upsert,
                "delete": self._delete,
                "list": self._list,
                "fetch": self._fetch,
                "query": self._query,
                "stats": self._stats,
            }
            return route, handlers[route], {"index": data["index"] or ""}
        control = _CONTROL.match(path)
        if control:
            return self._control_route(method, control["name"])
        return None

    def _control_route(self, method: str, name: str | None) -> tuple[str, Handler, Mapping[str, str]] | None:
        routes: dict[tuple[str, bool], tuple[str, Handler]] = {
            ("GET", False): ("indexes.list", self._indexes),
            ("POST", False): ("indexes.create", self._create),
            ("GET", True): ("indexes.describe", self._describe),
            ("DELETE", True): ("indexes.delete", self._drop),
        }
        found = routes.get((method, name is not None))
        return (*found, {"name": name or ""}) if found else None

    def error(self, status: int, message: str, retry_after: float | None = None) -> Any:
        return {"code": STATUS_CODES[status], "message": message, "details": []}

    def refuse_key(self, key: str | None) -> VendorError | None:
        if not key or (self.api_key is not None and key != self.api_key):
            return VendorError(401, "Invalid API key")
        return None

    async def _indexes(self, request: Request) -> None:
        await request.exchange.json(200, {"indexes": [_described(index, request) for index in self.indexes.values()]})

    async def _describe(self, request: Request) -> None:
        await request.exchange.json(200, _described(self._named(request.values["name"]), request))

    async def _create(self, request: Request) -> None:
        data = request.data
        if data.get("name") in self.indexes:
            raise VendorError(409, "An index of this name exists already")
        try:
            spec = data["spec"]["serverless"]
            index = VectorIndex(
                str(data["name"]),
                int(data["dimension"]),
                str(data.get("metric", "cosine")),
                spec["cloud"],
                spec["region"],
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise VendorError(400, "name, dimension and spec.serverless are needed") from exc
        self.indexes[index.name] = index
        await request.exchange.json(201, _described(index, request))

    async def _drop(self, request: Request) -> None:
        del self.indexes[self._named(request.values["name"]).name]
        await request.exchange.answer(202, b"", {})

    async def _upsert(self, request: Request) -> None:
        index, data = self._index(request), request.data
        vectors = data.get("vectors")
        if not isinstance(vectors, list) or not vectors:
            raise VendorError(400, "vectors must not be empty")
        if len(vectors) > MAX_UPSERT or len(request.exchange.body) > MAX_UPSERT_BYTES:
            raise VendorError(400, f"at most {MAX_UPSERT} vectors and {MAX_UPSERT_BYTES} bytes in a request")
        records = [_record(vector, index.dimension) for vector in vectors]

        def change(stored: dict[str, Record]) -> None:
            stored.update({record.id: record for record in records})

        headers = self._write(request, index.open(data.get("namespace", "")), change)
        await request.exchange.json(200, {"upsertedCount": len(records)}, headers)

    async def _delete(self, request: Request) -> None:
        index, data = self._index(request), request.data
        namespace = index.visible(data.get("namespace", ""))
        if namespace is None:
            raise VendorError(404, "Namespace not found")
        headers = self._write(request, namespace, _deletion(data))
        await request.exchange.json(200, {}, headers)

    async def _query(self, request: Request) -> None:
        index, data = self._index(request), request.data
        limit = data.get("topK")
        if not isinstance(limit, int) or not 1 <= limit <= MAX_TOP_K:
            raise VendorError(400, f"topK must be between 1 and {MAX_TOP_K}")
        wanted = _filter(data["filter"]) if data.get("filter") else lambda _: True
        namespace = index.visible(data.get("namespace", "")) or Namespace()
        hits = namespace.nearest(_query_vector(data, namespace, index.dimension), index.metric, limit, wanted)
        matches = [
            {**_shown(record, data.get("includeValues"), data.get("includeMetadata")), "score": score}
            for record, score in hits
        ]
        if _asks(request, "foreign_ids"):
            matches = [{**match, "id": f"not-ours-{match['id']}"} for match in matches]
        answer = {"matches": matches, "namespace": data.get("namespace", ""), "usage": {"readUnits": 1}}
        await request.exchange.json(200, answer, self._read_headers(request, namespace))

    async def _fetch(self, request: Request) -> None:
        ids = request.query.get("ids", [])
        if not ids or len(ids) > MAX_IDS:
            raise VendorError(400, f"between 1 and {MAX_IDS} ids are needed")
        name, namespace = self._asked(request)
        found = {known: _shown(namespace.records[known], True, True) for known in ids if known in namespace.records}
        await request.exchange.json(
            200,
            {"vectors": found, "namespace": name, "usage": {"readUnits": 1}},
            self._read_headers(request, namespace),
        )

    async def _list(self, request: Request) -> None:
        """Ids in ascending order; the token is the last id given."""
        name, namespace = self._asked(request)
        prefix, after = _one(request, "prefix"), _one(request, "paginationToken")
        limit = int(_one(request, "limit") or MAX_LIST)
        if not 1 <= limit <= MAX_LIST:
            raise VendorError(400, f"limit must be between 1 and {MAX_LIST}")
        ids = sorted(known for known in namespace.records if known.startswith(prefix) and known > after)
        shown = [f"not-ours-{known}" for known in ids] if _asks(request, "foreign_ids") else ids
        shown = shown[::-1] if _asks(request, "unordered") else shown
        answer: dict[str, Any] = {
            "vectors": [{"id": known} for known in shown[:limit]],
            "namespace": name,
            "usage": {"readUnits": 1},
        }
        if len(ids) > limit:
            answer["pagination"] = {"next": ids[limit - 1]}
        await request.exchange.json(200, answer, self._read_headers(request, namespace))

    async def _stats(self, request: Request) -> None:
        index = self._index(request)
        if request.data.get("filter"):
            raise VendorError(400, "Serverless indexes do not filter their statistics")
        counts = self._counts(index)
        answer = {
            "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
            "dimension": index.dimension,
            "indexFullness": 0,
            "totalVectorCount": sum(counts.values()),
            "metric": index.metric,
            "vectorType": "dense",
        }
        await request.exchange.json(200, answer)

    def _write(self, request: Request, namespace: Namespace, change: Write) -> dict[str, str]:
        if _asks(request, "ignored"):
            return {"x-pinecone-request-lsn": str(namespace.lsn)}
        lsn = namespace.write(change, self.lag)
        return {} if _asks(request, "no_lsn") else {"x-pinecone-request-lsn": str(lsn)}

    def _read_headers(self, request: Request, namespace: Namespace) -> dict[str, str]:
        return {} if _asks(request, "no_lsn") else {"x-pinecone-max-indexed-lsn": str(namespace.indexed)}

    def _asked(self, request: Request) -> tuple[str, Namespace]:
        name = _one(request, "namespace")
        return name, self._index(request).visible(name) or Namespace()

    def _index(self, request: Request) -> VectorIndex:
        name = request.values["index"] or next(iter(self.indexes), "")
        return self._named(name)

    def _named(self, name: str) -> VectorIndex:
        if name not in self.indexes:
            raise VendorError(404, f"Resource {name} not found")
        return self.indexes[name]

    @staticmethod
    def _counts(index: VectorIndex) -> dict[str, int]:
        visible = {name: index.visible(name) for name in list(index.namespaces)}
        return {name: len(namespace.records) for name, namespace in visible.items() if namespace and namespace.records}


def _deletion(data: dict[str, Any]) -> Write:
    if data.get("deleteAll"):
        return lambda stored: stored.clear()
    if data.get("filter"):
        wanted = _filter(data["filter"])

        def by_filter(stored: dict[str, Record]) -> None:
            for known in [record.id for record in stored.values() if wanted(record.metadata)]:
                del stored[known]

        return by_filter
    ids = data.get("ids")
    if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_IDS:
        raise VendorError(400, "ids, filter or deleteAll is needed")

    def by_id(stored: dict[str, Record]) -> None:
        for known in ids:
            stored.pop(known, None)

    return by_id


def _filter(expression: Any) -> Callable[[Metadata], bool]:
    try:
        return matcher(expression)
    except BadFilter as exc:
        raise VendorError(400, str(exc)) from exc


def _record(vector: dict[str, Any], dimension: int) -> Record:
    if not isinstance(vector.get("id"), str) or not vector["id"]:
        raise VendorError(400, "a vector needs an id")
    values = _values(vector.get("values"), dimension)
    if not values.any():
        raise VendorError(400, "Dense vectors must have at least one value that is not zero")
    return Record(vector["id"], values, vector.get("metadata") or {})


def _values(values: Any, dimension: int) -> NDArray[np.float32]:
    try:
        array = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as exc:
        raise VendorError(400, "values must be numbers") from exc
    if array.shape != (dimension,):
        raise VendorError(400, f"Vector dimension {array.size} does not match the dimension of the index {dimension}")
    if not np.isfinite(array).all():
        raise VendorError(400, "values must be finite")
    return array


def _query_vector(data: dict[str, Any], namespace: Namespace, dimension: int) -> NDArray[np.float32]:
    if "id" in data:
        record = namespace.records.get(data["id"])
        return record.values if record else np.zeros(dimension, dtype=np.float32)
    return _values(data.get("vector"), dimension)


def _shown(record: Record, values: Any, metadata: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": record.id}
    if values:
        shown["values"] = record.values.tolist()
    if metadata:
        shown["metadata"] = dict(record.metadata)
    return shown


def _described(index: VectorIndex, request: Request) -> dict[str, Any]:
    return {
        "name": index.name,
        "dimension": index.dimension,
        "metric": index.metric,
        "host": f"http://{request.host}/i/{index.name}",
        "vector_type": "dense",
        "deletion_protection": "disabled",
        "tags": {},
        "spec": {"serverless": {"cloud": index.cloud, "region": index.region}},
        "status": {"ready": True, "state": "Ready"},
    }


def _asks(request: Request, kind: str) -> bool:
    return request.fault is not None and request.fault.kind == kind


def _one(request: Request, name: str) -> str:
    return request.query.get(name, [""])[0]
