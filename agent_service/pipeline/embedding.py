"""Embeddings that can be trusted: as many as asked for, of the right dimension, finite, not zero, of unit length."""

from collections.abc import Sequence

import numpy as np

from agent_service.errors import Detail, EmbeddingInvalid
from agent_service.ports import Embedded, Vector

SMALLEST_NORM = 1e-12


def checked(embedded: Embedded, *, embedding: str, count: int, dimension: int) -> Embedded:
    """The same vectors, scaled to unit length. Raises EmbeddingInvalid."""
    vectors = embedded.vectors
    if len(vectors) != count:
        raise EmbeddingInvalid(
            details={"embedding": embedding, "reason": "count", "wanted": count, "got": len(vectors)}
        )
    _check_dimensions(vectors, embedding, dimension)
    return Embedded(_unit_vectors(vectors, embedding), embedded.usage)


def _check_dimensions(vectors: Sequence[Vector], embedding: str, dimension: int) -> None:
    for vector in vectors:
        if len(vector) != dimension:
            counts: dict[str, Detail] = {"wanted": dimension, "got": len(vector)}
            raise EmbeddingInvalid(details={"embedding": embedding, "reason": "dimension", **counts})


def _unit_vectors(vectors: Sequence[Vector], embedding: str) -> list[Vector]:
    try:
        matrix = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EmbeddingInvalid(details={"embedding": embedding, "reason": "not_numbers"}) from error
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise EmbeddingInvalid(details={"embedding": embedding, "reason": "not_finite"})
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    if (largest < SMALLEST_NORM).any():
        raise EmbeddingInvalid(details={"embedding": embedding, "reason": "zero"})
    matrix = matrix / largest  # first, so that the squares of very large numbers stay finite
    unit: list[Vector] = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).tolist()
    return unit
