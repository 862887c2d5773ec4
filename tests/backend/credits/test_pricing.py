from fractions import Fraction
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from backend.credits.pricing import Rates, ceiling, cost

tokens = st.integers(0, 10**7)
rate = st.integers(0, 10**6)
rates = st.builds(Rates, per_answer=rate, input_per_1k=rate, output_per_1k=rate)


def test_an_answer_costs_its_own_price_and_its_tokens_rounded_up() -> None:
    assert cost(Rates(1, 1, 4), input_tokens=1500, output_tokens=100) == 1 + 2  # 1.5 + 0.4 rounded up
    assert cost(Rates(1, 0, 0), input_tokens=10**6, output_tokens=10**6) == 1
    assert cost(Rates(0, 1, 1), input_tokens=0, output_tokens=0) == 0


@given(rates, tokens, tokens)
def test_the_cost_is_the_exact_sum_rounded_up_once(rates: Rates, read: int, written: int) -> None:
    exact = rates.per_answer + Fraction(read * rates.input_per_1k + written * rates.output_per_1k, 1000)
    assert cost(rates, input_tokens=read, output_tokens=written) == ceil(exact)


@given(rates, tokens, tokens, tokens, tokens)
def test_no_answer_within_the_bounds_costs_more_than_the_ceiling(
    rates: Rates, read: int, written: int, more_read: int, more_written: int
) -> None:
    most = ceiling(rates, max_input_tokens=read + more_read, max_output_tokens=written + more_written)
    assert 0 <= cost(rates, input_tokens=read, output_tokens=written) <= most


@given(rates, st.integers(max_value=-1), st.integers(max_value=-1))
def test_negative_counts_are_no_credit_note(rates: Rates, read: int, written: int) -> None:
    assert cost(rates, input_tokens=read, output_tokens=written) == rates.per_answer


@given(rates)
def test_a_ceiling_is_positive(rates: Rates) -> None:
    assert ceiling(rates, max_input_tokens=0, max_output_tokens=0) >= 1
