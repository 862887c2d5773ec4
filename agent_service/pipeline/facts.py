"""What is known about models without asking anybody: their sizes, abilities and prices, from files."""

import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from agent_service.contract import Ability, EstimateCostRequest, EstimateCostResponse, ModelId
from agent_service.errors import Misconfigured, PriceUnknown

SEED = Path(__file__).resolve().parents[1] / "models.toml"
PRICED_TOKENS = 1_000_000

Price = Annotated[Decimal, Field(ge=0, le=10_000)]


class ModelFacts(BaseModel):
    """Prices are US dollars for PRICED_TOKENS tokens, as published on `priced_on`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", max_length=100)
    context_tokens: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    abilities: tuple[Ability, ...] = ()
    input_price: Price | None = None
    output_price: Price | None = None
    priced_on: date | None = None

    @model_validator(mode="after")
    def _whole_price(self) -> Self:
        told = [self.input_price is not None, self.output_price is not None, self.priced_on is not None]
        if any(told) and not all(told):
            raise ValueError("a price has input_price, output_price and priced_on")
        return self


UNKNOWN = ModelFacts()

_FILE = TypeAdapter(dict[ModelId, ModelFacts])


def read_facts(*files: Path) -> dict[str, ModelFacts]:
    """By the models' ids; what a later file says of a model replaces what an earlier one said. Raises Misconfigured."""
    facts: dict[str, ModelFacts] = {}
    for file in files:
        try:
            facts |= _FILE.validate_python(tomllib.loads(file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise Misconfigured(f"{file} cannot be read: {error}") from error
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise Misconfigured(f"{file}: {place}: {problem['msg']}") from error
    return facts


def estimated_cost(request: EstimateCostRequest, facts: Mapping[str, ModelFacts]) -> EstimateCostResponse:
    """Raises PriceUnknown."""
    known = facts.get(request.model, UNKNOWN)
    if known.input_price is None or known.output_price is None or known.priced_on is None:
        raise PriceUnknown(details={"model": request.model})
    read = known.input_price * request.input_tokens / PRICED_TOKENS
    written = known.output_price * request.output_tokens / PRICED_TOKENS
    return EstimateCostResponse(
        model=request.model,
        input_cost=read,
        output_cost=written,
        total=read + written,
        priced_on=known.priced_on,
    )
