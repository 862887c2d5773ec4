"""Rankings into one: each is stretched to 0..1 and they are added by their weights (convex combination after min-max,
as in Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from agent_service.contract import Hit
from agent_service.ports import Found

DIGITS = 6
"""Of a score: sums of floats come out differently in their last digits from one time to the next."""
Scores = Mapping[bytes, tuple[float, Found]]
"""By chunk, before they are cut."""
BESIDE = 0.9
"""What the best hit of a further search term counts beside the best of the question itself."""


def fused(
    lexical: Sequence[Found], dense: Sequence[Found], *, lexical_share: float, pool: int, limit: int
) -> list[Hit]:
    """Each list is best first and was asked for `pool` hits. Where the words find nothing the vectors' own similarities
    stay, cut to 0..1.
    """
    return best_of([scored(lexical, dense, lexical_share=lexical_share, pool=pool)], limit)


def scored(
    lexical: Sequence[Found],
    dense: Sequence[Found],
    *,
    lexical_share: float,
    pool: int,
    beside: Sequence[Sequence[Found]] = (),
) -> Scores:
    """`beside` are the rankings by words of further search terms: a chunk counts by the best that is said of it."""
    if not lexical and not any(beside):
        return {hit.chunk: (hit.score, hit) for hit in dense}
    if not dense:
        lexical_share = 1.0
    words = dict(zip((hit.chunk for hit in lexical), _stretched(lexical, pool), strict=True))
    nearness = dict(zip((hit.chunk for hit in dense), _stretched(dense, pool), strict=True))
    terms = _best_beside(beside, pool)
    hits = {hit.chunk: hit for ranking in (*beside, lexical, dense) for hit in ranking}
    near_share = 1 - lexical_share
    return {
        chunk: (
            max(
                lexical_share * words.get(chunk, 0.0) + near_share * nearness.get(chunk, 0.0),
                BESIDE * terms.get(chunk, 0.0),
            ),
            hit,
        )
        for chunk, hit in hits.items()
    }


def best_of(scores: Sequence[Scores], limit: int) -> list[Hit]:
    """Of one or several tellings of the scores; a chunk that is in several counts by the best."""
    best: dict[bytes, tuple[float, Found]] = {}
    for told in scores:
        for chunk, (score, hit) in told.items():
            cut = round(min(1.0, max(0.0, score)), DIGITS)
            if chunk not in best or best[chunk][0] < cut:
                best[chunk] = (cut, hit)
    order = sorted((-score, chunk) for chunk, (score, _) in best.items())[:limit]
    return [_told(best[chunk][1], -score) for score, chunk in order]


def _told(found: Found, score: float) -> Hit:
    chunk, document, version, _ = found
    return Hit(chunk=UUID(bytes=chunk), document=UUID(bytes=document), version=UUID(bytes=version), score=score)


def _best_beside(beside: Sequence[Sequence[Found]], pool: int) -> dict[bytes, float]:
    scores: dict[bytes, float] = {}
    for ranking in beside:
        for hit, score in zip(ranking, _stretched(ranking, pool), strict=True):
            scores[hit.chunk] = max(scores.get(hit.chunk, 0.0), score)
    return scores


def _stretched(hits: Sequence[Found], pool: int) -> list[float]:
    """The best is 1. The last is 0 where there may be more behind it; a list that ended by itself ends at no score."""
    if not hits:
        return []
    top, last = hits[0].score, hits[-1].score
    floor = last if len(hits) >= pool else min(0.0, last)
    if top <= floor:
        return [1.0] * len(hits)
    return [(hit.score - floor) / (top - floor) for hit in hits]
