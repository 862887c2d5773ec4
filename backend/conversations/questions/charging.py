"""What an answer costs: by the price of the model that gave it, and before that by the dearest that may."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from agent_service import contract
from backend.bots.models import BotVersion
from backend.conversations.passages.retrieval import SEARCH_OUTPUT_TOKENS, search_ceiling_chars
from backend.conversations.questions.history import CHARS_PER_TOKEN_AT_LEAST, ceiling_tokens
from backend.credits import services as ledger
from backend.credits.models import Price

FOLLOW_UPS = 3
"""How many questions are suggested after an answer, where the bot's owner wants any."""
FOLLOW_UPS_TOKENS = 300


@dataclass(frozen=True, slots=True)
class Prices:
    """In force when the turn was opened, by model: the one that is asked first, then its fallbacks."""

    by_model: dict[str, Price]

    @property
    def first(self) -> Price:
        return next(iter(self.by_model.values()))

    def ceiling(self, *, input_tokens: int, output_tokens: int) -> int:
        """In credits: whichever of the models answers, it is not more."""
        return max(price.ceiling(input_tokens, output_tokens) for price in self.by_model.values())

    def cheapest(self, input_tokens: int, output_tokens: int) -> Price:
        """For what one of the models has done, and nobody said which."""
        return min(self.by_model.values(), key=lambda price: price.cost(input_tokens, output_tokens))

    def answered_by(self, usage: contract.Usage) -> str:
        """The id of the model that `usage` names, where it is one of those that were to be asked; else the first."""
        named = (f"{usage.provider}:{usage.model}", usage.model)
        return next((model for model in named if model in self.by_model), next(iter(self.by_model)))


def prices_of(models: Sequence[str]) -> Prices:
    """Raises NoPrice."""
    return Prices({model: ledger.price_for(model) for model in models})


def most_tokens(version: BotVersion, question: str, *, images: int, max_output_tokens: int) -> tuple[int, int]:
    """The most that an answer may read and write, with what is asked before it, to search, and after it, to suggest
    questions."""
    read = ceiling_tokens(
        question=question,
        instructions=version.instructions,
        history_budget=settings.HISTORY_BUDGET_TOKENS,
        passages=version.top_k * (1 + 2 * version.neighbours),
        passage_chars=version.chunk_chars,
        images=images,
    )
    written = max_output_tokens
    if version.follow_ups:
        read, written = read + read + written, written + FOLLOW_UPS_TOKENS
    if searching := search_ceiling_chars(version, question):
        read += -(-searching // CHARS_PER_TOKEN_AT_LEAST)
        written += SEARCH_OUTPUT_TOKENS
    return read, written


def most_cost(version: BotVersion, question: str, prices: Prices, *, images: int, max_output_tokens: int) -> int:
    """In credits."""
    read, written = most_tokens(version, question, images=images, max_output_tokens=max_output_tokens)
    return prices.ceiling(input_tokens=read, output_tokens=written)
