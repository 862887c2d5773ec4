"""Counts and times of this process since its start, in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/ . Labels are words of the program, never of a person: no
id, name, address or text goes here, and `Counter` refuses to grow without end.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence

BUCKETS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 30_000.0)
MOST_SERIES = 200
"""Of one metric. What comes after these is counted together, as "other"."""

Labels = tuple[str, ...]


class Counter:
    """`name` ends in `_total`."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._meaning = meaning
        self._labels = tuple(labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}
        self._lock = threading.Lock()
        REGISTRY.append(self)

    def add(self, amount: float = 1, *values: str) -> None:
        """`values` of the labels, in their order."""
        with self._lock:
            key = _bounded(values, self._values)
            self._values[key] = self._values.get(key, 0.0) + amount

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self._meaning, self.kind)
        with self._lock:
            values = sorted(self._values.items())
        for key, value in values:
            yield f"{self.name}{_labelled(zip(self._labels, key, strict=True))} {value:g}"


class Histogram:
    """Milliseconds by stage, in BUCKETS."""

    def __init__(self, name: str, meaning: str, label: str) -> None:
        self.name = name
        self._meaning = meaning
        self._label = label
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()
        REGISTRY.append(self)

    def observe(self, value: float, stage: str) -> None:
        with self._lock:
            key = _bounded((stage,), self._counts)
            counts = self._counts.setdefault(key, [0] * (len(BUCKETS) + 1))
            counts[bisect_left(BUCKETS, value)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self._meaning, "histogram")
        with self._lock:
            series = sorted((key[0], [*counts], self._sums[key]) for key, counts in self._counts.items())
        for stage, counts, total in series:
            seen = 0
            for bound, count in zip((*(f"{bucket:g}" for bucket in BUCKETS), "+Inf"), counts, strict=True):
                seen += count
                yield f"{self.name}_bucket{_labelled(((self._label, stage), ('le', bound)))} {seen}"
            yield f"{self.name}_sum{_labelled(((self._label, stage),))} {total:g}"
            yield f"{self.name}_count{_labelled(((self._label, stage),))} {seen}"


REGISTRY: list[Counter | Histogram] = []


def gauge(name: str, meaning: str, value: float) -> Iterator[str]:
    """The lines of what is measured when it is asked for."""
    yield from _head(name, meaning, "gauge")
    yield f"{name} {value:g}"


def exposed() -> Iterator[str]:
    for metric in REGISTRY:
        yield from metric.lines()


def _head(name: str, meaning: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _bounded(values: Labels, known: dict[Labels, float] | dict[Labels, list[int]]) -> Labels:
    return values if values in known or len(known) < MOST_SERIES else ("other",) * len(values)


def _labelled(pairs: object) -> str:
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)  # type: ignore[attr-defined]
    return f"{{{shown}}}" if shown else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
