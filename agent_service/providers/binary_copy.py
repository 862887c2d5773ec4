"""Rows for `COPY … FROM STDIN (FORMAT binary)`, made a column at a time: made a value at a time they take longer than
PostgreSQL takes to store them.
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_INT4_OID = 23
_COUNT, _SIZE = struct.Struct("!h"), struct.Struct("!i")
_NUMPY = {"int2": ">i2", "int4": ">i4"}

Column = tuple[str, NDArray[np.signedinteger] | int]


def rows(values: Iterable[Sequence[bytes]]) -> bytes:
    """Whole COPY data of rows whose values are in PostgreSQL's binary form already."""
    return _HEADER + b"".join(map(_row, values)) + _TRAILER


def _row(fields: Sequence[bytes]) -> bytes:
    return _COUNT.pack(len(fields)) + b"".join(_SIZE.pack(len(field)) + field for field in fields)


def integer_rows(*columns: Column) -> bytes:
    """Whole COPY data of columns of integers, each with its type: "int2" or "int4". A single number stands in all
    rows."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for place, (kind, _) in enumerate(columns):
        fields += [(f"size{place}", ">i4"), (f"value{place}", _NUMPY[kind])]
    table = np.zeros(_length(columns), dtype=np.dtype(fields))
    table["fields"] = len(columns)
    for place, (kind, values) in enumerate(columns):
        table[f"size{place}"] = int(kind.removeprefix("int"))
        table[f"value{place}"] = values
    return _HEADER + table.tobytes() + _TRAILER


def _length(columns: Sequence[Column]) -> int:
    return next(len(values) for _, values in columns if not isinstance(values, int))


def int4_array(values: NDArray[np.integer]) -> bytes:
    """An `int4[]` as PostgreSQL sends and receives it."""
    shape = [1, 0, _INT4_OID, len(values), 1] if len(values) else [0, 0, _INT4_OID]
    head = np.array(shape, dtype=">i4").tobytes()
    pairs = np.empty((len(values), 2), dtype=">i4")
    pairs[:, 0] = 4
    pairs[:, 1] = values
    return head + pairs.tobytes()
