from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.contract import Hit
from agent_service.pipeline.fusing import fused
from agent_service.ports import Found

POOL = 5


def ranking(scores: dict[int, float]) -> list[Found]:
    return [
        Found(UUID(int=number).bytes, UUID(int=1).bytes, UUID(int=2).bytes, score)
        for number, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:POOL]
    ]


def found(lexical: dict[int, float], dense: dict[int, float], *, share: float = 0.7, limit: int = 10) -> list[Hit]:
    return fused(ranking(lexical), ranking(dense), lexical_share=share, pool=POOL, limit=limit)


def numbers(hits: list[Hit]) -> list[int]:
    return [hit.chunk.int for hit in hits]


def test_what_both_find_comes_first() -> None:
    assert numbers(found({1: 9, 2: 8}, {3: 0.9, 2: 0.8})) == [2, 1, 3]


def test_the_best_of_both_has_one() -> None:
    [best, *_] = found({1: 9, 2: 3}, {1: 0.4, 2: 0.1})
    assert (best.chunk.int, best.score) == (1, 1.0)


def test_the_share_decides_between_the_best_of_each() -> None:
    assert numbers(found({1: 9}, {2: 0.9}, share=0.7)) == [1, 2]
    assert numbers(found({1: 9}, {2: 0.9}, share=0.4)) == [2, 1]


def test_the_last_of_a_full_list_has_no_score() -> None:
    full = {number: 10.0 - number for number in range(POOL)}
    assert found(full, {})[-1].score == 0.0
    assert found({1: 9, 2: 3}, {})[-1].score == pytest.approx(1 / 3, abs=1e-5)


def test_without_words_the_similarities_stay() -> None:
    assert [hit.score for hit in found({}, {1: 0.31, 2: -0.2})] == [0.31, 0.0]


def test_without_vectors_the_words_alone_rank() -> None:
    assert [hit.score for hit in found({1: 8, 2: 4}, {})] == [1.0, 0.5]


def test_nothing_gives_nothing() -> None:
    assert found({}, {}) == []


SCORES = st.dictionaries(st.integers(0, 12), st.floats(-1, 50), max_size=8)


@given(SCORES, SCORES, st.floats(0, 1), st.integers(1, 20))
def test_any_two_rankings_give_one(
    lexical: dict[int, float], dense: dict[int, float], share: float, limit: int
) -> None:
    hits = found(lexical, dense, share=share, limit=limit)
    given_to_it = {UUID(bytes=hit.chunk) for hit in (*ranking(lexical), *ranking(dense))}
    assert len(hits) == min(limit, len(given_to_it)) == len({hit.chunk for hit in hits})
    assert {hit.chunk for hit in hits} <= given_to_it
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert [(-hit.score, hit.chunk) for hit in hits] == sorted((-hit.score, hit.chunk) for hit in hits)


@given(st.dictionaries(st.integers(0, 12), st.floats(0.001, 50), min_size=1, max_size=POOL - 1), st.floats(0.1, 0.9))
def test_two_that_agree_keep_their_order(scores: dict[int, float], share: float) -> None:
    hits = found(scores, scores, share=share)
    assert sorted(numbers(hits)) == sorted(scores)
    kept = [scores[number] for number in numbers(hits)]
    assert all(earlier >= later or abs(earlier - later) < 1e-4 for earlier, later in pairwise(kept))


@given(SCORES, SCORES)
def test_a_shorter_list_is_the_beginning_of_a_longer_one(lexical: dict[int, float], dense: dict[int, float]) -> None:
    assert found(lexical, dense, limit=3) == found(lexical, dense, limit=20)[:3]
