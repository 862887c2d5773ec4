"""What an answer costs, in whole credits. Functions of values; nothing here reads the database."""

from dataclasses import dataclass

TOKENS_PER_UNIT = 1000


@dataclass(frozen=True, slots=True)
class Rates:
    """Credits for the answer itself and for each thousand tokens read and written."""

    per_answer: int
    input_per_1k: int
    output_per_1k: int


def cost(rates: Rates, *, input_tokens: int, output_tokens: int) -> int:
    """Credits for what was used, rounded up once, on the sum. A vendor's negative count counts as 0."""
    read, written = max(0, input_tokens), max(0, output_tokens)
    milli = read * rates.input_per_1k + written * rates.output_per_1k
    return rates.per_answer + -(-milli // TOKENS_PER_UNIT)


def ceiling(rates: Rates, *, max_input_tokens: int, max_output_tokens: int) -> int:
    """The most that an answer within these bounds can cost; at least 1, as a hold of nothing holds nothing back."""
    return max(1, cost(rates, input_tokens=max_input_tokens, output_tokens=max_output_tokens))
