"""What the emulated model says."""

from uuid import uuid4

import pytest

from agent_service.contract import Passage
from agent_service.pipeline.prompting import question_with_passages
from tests.emulators.embedding import embed
from tests.emulators.reading import GREETING, NOTHING, answer

TEXTS = [
    "The observatory opened in 1887.\nIts dome is 18 metres\nwide. Visitors come on Fridays.",
    "Tickets cost 12 euros. Children under 6 pay nothing.",
    "Revenue     | 2020 | 1.5 million\nRevenue     | 2021 | 1.9 million\n" + "Costs | 2021 | 0.2 million\n" * 12,
]


def asked(question: str) -> str:
    passages = [Passage(id=uuid4(), title=f"Part {number}", text=text) for number, text in enumerate(TEXTS)]
    return answer(question_with_passages(question, passages))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("When was the observatory opened?", "The observatory opened in 1887. [1]"),
        ("How wide is the dome?", "Its dome is 18 metres wide. [1]"),
        ("What do children pay?", "Children under 6 pay nothing. [2]"),
        ("What was the revenue in 2021?", "Revenue | 2021 | 1.9 million [3]"),
        ("Who won the chess match?", NOTHING),
    ],
)
def test_the_products_own_prompt_is_understood(question: str, said: str) -> None:
    assert asked(question) == said


@pytest.mark.parametrize(
    "prompt",
    [
        "[1] Cats sleep.\n[2] Dogs bark.\n\nQuestion: What do dogs do?",
        "## [1] One\nCats sleep.\n## [2] Two\nDogs bark.\n\nWhat do dogs do?",
    ],
)
def test_other_ways_to_number_passages(prompt: str) -> None:
    assert answer(prompt).endswith("Dogs bark. [2]")


@pytest.mark.parametrize("prompt", ["Hello there", "Question: Hello?", ""])
def test_without_passages_it_says_so(prompt: str) -> None:
    assert answer(prompt) == GREETING


def test_the_sign_for_nothing_found_comes_first_where_it_was_asked_for() -> None:
    assert answer("[1] Cats sleep.\n\nQuestion: Chess?", "Say NOT_FOUND if so.") == f"NOT_FOUND {NOTHING}"


def test_texts_that_share_words_are_near_and_the_same_text_is_the_same() -> None:
    question, near, far = (embed(text, 256) for text in ("weight of dogs", "a dog's weight", "interest rates"))
    assert question @ near > question @ far + 0.1
    assert (embed("weight of dogs", 256) == question).all()
    assert embed("", 256) @ embed("", 256) == pytest.approx(1)
