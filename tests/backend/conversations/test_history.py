from hypothesis import given
from hypothesis import strategies as st

from backend.conversations.questions.history import ceiling_tokens, estimated_tokens, within_budget

exchanges = st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=12)


@given(exchanges, st.integers(0, 200))
def test_what_is_kept_is_the_newest_part_and_fits(pairs: list[tuple[str, str]], budget: int) -> None:
    kept = within_budget(pairs, budget)
    texts = [turn.text for turn in kept]
    newest_last = [text for pair in reversed(pairs) for text in pair]
    assert newest_last[len(newest_last) - len(texts) :] == texts
    assert sum(estimated_tokens(text) for text in texts) <= budget


def test_an_exchange_is_kept_whole_or_not_at_all() -> None:
    kept = within_budget([("new?", "yes"), ("old" * 40, "no")], 10)
    assert [(turn.role, turn.text) for turn in kept] == [("user", "new?"), ("assistant", "yes")]


@given(st.text(max_size=200), st.text(max_size=200), st.integers(0, 2000), st.integers(1, 20), st.integers(200, 4000))
def test_the_ceiling_is_above_every_estimate(
    question: str, instructions: str, budget: int, passages: int, chars: int
) -> None:
    ceiling = ceiling_tokens(
        question=question,
        instructions=instructions,
        history_budget=budget,
        passages=passages,
        passage_chars=chars,
    )
    assert ceiling >= estimated_tokens(question + instructions) + budget + passages * chars // 4
