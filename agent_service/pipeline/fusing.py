"""Two rankings into one: each is stretched to 0..1 and they are added by their weights (convex combination after
min-max, as in Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).
"""

from collections.abc import Sequence
from uuid import UUID

from agent_service.contract import Hit

DIGITS = 6
"""Of a score: sums of floats come out differently in their last digits from one time to the next."""


def fused(lexical: Sequence[Hit], dense: Sequence[Hit], *, lexical_share: float, pool: int, limit: int) -> list[Hit]:
    """Each list is best first and was asked for `pool` hits. Where the words find nothing the vectors' own similarities
    stay, cut to 0..1.
    """
    if not lexical:
        return _best({hit.chunk: hit for hit in dense}, {hit.chunk: hit.score for hit in dense}, limit)
    if not dense:
        lexical_share = 1.0
    scores: dict[UUID, float] = {}
    for hits, share in ((lexical, lexical_share), (dense, 1 - lexical_share)):
        for hit, score in zip(hits, _stretched(hits, pool), strict=True):
            scores[hit.chunk] = scores.get(hit.chunk, 0.0) + share * score
    return _best({hit.chunk: hit for hit in (*lexical, *dense)}, scores, limit)


def _stretched(hits: Sequence[Hit], pool: int) -> list[float]:
    """The best is 1. The last is 0 where there may be more behind it; a list that ended by itself ends at no score."""
    if not hits:
        return []
    top, last = hits[0].score, hits[-1].score
    floor = last if len(hits) >= pool else min(0.0, last)
    if top <= floor:
        return [1.0] * len(hits)
    return [(hit.score - floor) / (top - floor) for hit in hits]


def _best(hits: dict[UUID, Hit], scores: dict[UUID, float], limit: int) -> list[Hit]:
    rounded = {chunk: round(min(1.0, max(0.0, score)), DIGITS) for chunk, score in scores.items()}
    order = sorted(rounded, key=lambda chunk: (-rounded[chunk], chunk))[:limit]
    return [hits[chunk].model_copy(update={"score": rounded[chunk]}) for chunk in order]
