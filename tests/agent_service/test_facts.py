from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from agent_service.contract import EstimateCostRequest
from agent_service.errors import Misconfigured, PriceUnknown
from agent_service.pipeline.facts import SEED, estimated_cost, read_facts

OWN = """
["ollama:llava"]
title = "LLaVA"
context_tokens = 4096
abilities = ["vision"]

["google:gemini-2.5-flash"]
input_price = 0.5
output_price = 1.5
priced_on = 2026-11-01
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "own.toml"
    file.write_text(text)
    return file


def test_every_seeded_model_has_a_price_with_its_day() -> None:
    facts = read_facts(SEED)
    assert {"local:extractive", "google:gemini-2.5-flash", "openai:gpt-5-mini", "anthropic:claude-sonnet-4-5"} <= set(
        facts
    )
    assert all(known.priced_on and known.title for known in facts.values())


def test_an_operators_own_file_adds_and_replaces(tmp_path: Path) -> None:
    facts = read_facts(SEED, written(tmp_path, OWN))
    assert facts["ollama:llava"].abilities == ("vision",)
    assert facts["google:gemini-2.5-flash"].priced_on == date(2026, 11, 1)
    assert "openai:gpt-5" in facts


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        '["no-provider"]',
        '["a:b"]\ncolour = 1',
        '["a:b"]\ninput_price = 1',
        '["a:b"]\ncontext_tokens = -1',
        '["a:b"]\nabilities = ["flying"]',
    ],
    ids=["no toml", "no id", "unknown field", "half a price", "negative", "unknown ability"],
)
def test_a_file_that_is_wrong_is_named_with_the_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misconfigured, match=r"own\.toml"):
        read_facts(written(tmp_path, text))
    with pytest.raises(Misconfigured, match="missing"):
        read_facts(tmp_path / "missing")


def test_a_cost_is_exact_and_says_of_when(tmp_path: Path) -> None:
    facts = read_facts(written(tmp_path, OWN))
    cost = estimated_cost(
        EstimateCostRequest(model="google:gemini-2.5-flash", input_tokens=3, output_tokens=1_000_001), facts
    )
    assert (cost.input_cost, cost.output_cost) == (Decimal("0.0000015"), Decimal("1.5000015"))
    assert (cost.total, cost.priced_on) == (Decimal("1.500003"), date(2026, 11, 1))
    with pytest.raises(PriceUnknown):
        estimated_cost(EstimateCostRequest(model="ollama:llava", input_tokens=1, output_tokens=1), facts)
