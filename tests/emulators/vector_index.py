"""An index in memory: namespaces of records, a log that becomes visible after a while, metadata filters."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    id: str
    values: NDArray[np.float32]
    metadata: Metadata


Write = Callable[[dict[str, Record]], None]


@dataclass(slots=True)
class Namespace:
    """`lsn` numbers the writes accepted, `indexed` the last one that reads can see."""

    records: dict[str, Record] = field(default_factory=dict)
    lsn: int = 0
    indexed: int = 0
    _log: list[tuple[float, int, Write]] = field(default_factory=list)
    _ids: list[str] = field(default_factory=list)
    _matrix: NDArray[np.float32] | None = None

    def write(self, change: Write, lag: float) -> int:
        self.lsn += 1
        self._log.append((time.monotonic() + lag, self.lsn, change))
        return self.lsn

    def settle(self) -> None:
        """Applies, in their order, the writes whose time has come."""
        while self._log and self._log[0][0] <= time.monotonic():
            _, self.indexed, change = self._log.pop(0)
            change(self.records)
            self._matrix = None

    @property
    def pending(self) -> bool:
        return bool(self._log)

    def nearest(
        self, vector: NDArray[np.float32], metric: str, limit: int, wanted: Callable[[Metadata], bool]
    ) -> list[tuple[Record, float]]:
        if not self.records:
            return []
        if self._matrix is None:
            self._ids = list(self.records)
            self._matrix = np.stack([self.records[known].values for known in self._ids])
        scores = _scores(self._matrix, vector, metric)
        order = np.argsort(-scores, kind="stable")
        found = ((self.records[self._ids[place]], float(scores[place])) for place in order)
        hits: list[tuple[Record, float]] = []
        for record, score in found:
            if wanted(record.metadata):
                hits.append((record, score))
                if len(hits) == limit:
                    break
        return hits


def _scores(matrix: NDArray[np.float32], vector: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    if metric == "euclidean":
        return np.asarray(-np.square(matrix - vector).sum(axis=1), dtype=np.float32)
    products = matrix @ vector
    if metric == "cosine":
        products = products / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector) + 1e-12)
    return np.asarray(products, dtype=np.float32)


@dataclass(slots=True)
class VectorIndex:
    name: str
    dimension: int
    metric: str = "cosine"
    cloud: str = "aws"
    region: str = "us-east-1"
    namespaces: dict[str, Namespace] = field(default_factory=dict)

    def visible(self, name: str) -> Namespace | None:
        """None where nothing was written yet. A namespace ends with its last record, and its sequence numbers with
        it."""
        namespace = self.namespaces.get(name)
        if namespace is None:
            return None
        namespace.settle()
        if namespace.records or namespace.pending:
            return namespace
        del self.namespaces[name]
        return None

    def open(self, name: str) -> Namespace:
        return self.namespaces.setdefault(name, Namespace())


class BadFilter(ValueError):
    """The filter is not one of the vendor's language."""


def matcher(expression: Any) -> Callable[[Metadata], bool]:
    """A filter such as `{"document": {"$eq": "a"}, "$or": [...]}` as a test of metadata. Several keys mean all."""
    if not isinstance(expression, dict):
        raise BadFilter("a filter is an object")
    tests = [_clause(key, value) for key, value in expression.items()]
    return lambda metadata: all(test(metadata) for test in tests)


def _clause(key: str, value: Any) -> Callable[[Metadata], bool]:
    if key in ("$and", "$or"):
        if not isinstance(value, list) or not value:
            raise BadFilter(f"{key} needs a list")
        parts = [matcher(part) for part in value]
        whole = all if key == "$and" else any
        return lambda metadata: whole(part(metadata) for part in parts)
    if key.startswith("$"):
        raise BadFilter(f"{key} cannot stand here")
    conditions = value if isinstance(value, dict) else {"$eq": value}
    tests = [_condition(operator, operand) for operator, operand in conditions.items()]
    return lambda metadata: all(test(metadata.get(key)) for test in tests)


def _condition(operator: str, operand: Any) -> Callable[[Any], bool]:
    if operator in ("$in", "$nin") and not isinstance(operand, list):
        raise BadFilter(f"{operator} needs a list")
    conditions: dict[str, Callable[[Any], bool]] = {
        "$eq": lambda value: _equal(value, operand),
        "$ne": lambda value: not _equal(value, operand),
        "$in": lambda value: any(_equal(value, one) for one in operand),
        "$nin": lambda value: not any(_equal(value, one) for one in operand),
        "$exists": lambda value: (value is not None) == operand,
        "$gt": lambda value: isinstance(value, int | float) and value > operand,
        "$gte": lambda value: isinstance(value, int | float) and value >= operand,
        "$lt": lambda value: isinstance(value, int | float) and value < operand,
        "$lte": lambda value: isinstance(value, int | float) and value <= operand,
    }
    if operator not in conditions:
        raise BadFilter(f"unknown operator {operator}")
    return conditions[operator]


def _equal(value: Any, operand: Any) -> bool:
    """A list in metadata matches by any of its members."""
    return operand in value if isinstance(value, list) else bool(value == operand)
