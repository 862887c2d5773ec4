"""Rankings into one: each is stretched to 0..1 and they are added by their weights (convex combination after min-max,
as in Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).
"""

from collections.abc import Mapping, Sequence

from agent_service.contract import Hit

DIGITS = 6
"""Of a score: sums of floats come out differently in their last digits from one time to the next."""
Scores = Mapping[int, tuple[float, Hit]]
"""By chunk, before they are cut. Its id as a number: a UUID is ten times slower as a key, and there are two thousand
look-ups to a question."""
BESIDE = 0.9
"""What the best hit of a further search term counts beside the best of the question itself."""


def fused(lexical: Sequence[Hit], dense: Sequence[Hit], *, lexical_share: float, pool: int, limit: int) -> list[Hit]:
    """Each list is best first and was asked for `pool` hits. Where the words find nothing the vectors' own similarities
    stay, cut to 0..1.
    """
    return best_of([scored(lexical, dense, lexical_share=lexical_share, pool=pool)], limit)


def scored(
    lexical: Sequence[Hit],
    dense: Sequence[Hit],
    *,
    lexical_share: float,
    pool: int,
    beside: Sequence[Sequence[Hit]] = (),
) -> Scores:
    """`beside` are the rankings by words of further search terms: a chunk counts by the best that is said of it."""
    if not lexical and not any(beside):
        return {hit.chunk.int: (hit.score, hit) for hit in dense}
    if not dense:
        lexical_share = 1.0
    words = dict(zip((hit.chunk.int for hit in lexical), _stretched(lexical, pool), strict=True))
    nearness = dict(zip((hit.chunk.int for hit in dense), _stretched(dense, pool), strict=True))
    terms = _best_beside(beside, pool)
    hits = {hit.chunk.int: hit for ranking in (*beside, lexical, dense) for hit in ranking}
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
    rounded: dict[int, float] = {}
    hits: dict[int, Hit] = {}
    for told in scores:
        for chunk, (score, hit) in told.items():
            rounded[chunk] = max(rounded.get(chunk, 0.0), round(min(1.0, max(0.0, score)), DIGITS))
            hits[chunk] = hit
    order = sorted((-score, chunk) for chunk, score in rounded.items())[:limit]
    return [hits[chunk].model_copy(update={"score": -score}) for score, chunk in order]


def _best_beside(beside: Sequence[Sequence[Hit]], pool: int) -> dict[int, float]:
    scores: dict[int, float] = {}
    for ranking in beside:
        for hit, score in zip(ranking, _stretched(ranking, pool), strict=True):
            scores[hit.chunk.int] = max(scores.get(hit.chunk.int, 0.0), score)
    return scores


def _stretched(hits: Sequence[Hit], pool: int) -> list[float]:
    """The best is 1. The last is 0 where there may be more behind it; a list that ended by itself ends at no score."""
    if not hits:
        return []
    top, last = hits[0].score, hits[-1].score
    floor = last if len(hits) >= pool else min(0.0, last)
    if top <= floor:
        return [1.0] * len(hits)
    return [(hit.score - floor) / (top - floor) for hit in hits]
