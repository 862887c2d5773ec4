"""Two questions are one where nothing that carries weight differs; measured on questions that people asked."""

import time

import pytest

from backend.curated.phrasing import CHARS, key_of
from tests.real_data import lines, needs_real_data


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "please, how do I reset the  PASSWORD"),
        ("What are your opening hours?", "What's your opening hours"),
        ("Wo ist das Büro?", "Hallo! Wo ist ein Bu\u0308ro"),
        ("Straße oder Gasse?", "STRASSE ODER GASSE"),
        ("Сколько стоит доставка?", "Здравствуйте, сколько стоит доставка"),
        ("Can I pay by card?", "Could I pay by card?"),
        ("Don't you deliver?", "Don’t you deliver"),
        ("Price of \ufb01le storage?", "price of file storage"),
    ],
)
def test_these_are_the_same_question(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Flights to Paris?", "Flights from Paris?"),
        ("Who beat France?", "Who did France beat?"),
        ("Who is the director?", "Who was the director?"),
        ("When does it open?", "Where does it open?"),
        ("Do you deliver?", "Don't you deliver?"),
        ("Can I return it?", "Can I not return it?"),
        ("What is C?", "What is C#?"),
        ("What does the company do?", "What is the company?"),
        ("Is it 35 euros?", "Is it 3.5 euros?"),
        ("What is Vitamin A?", "What is Vitamin?"),
        ("क्या की", "क्या कि"),
    ],
)
def test_these_are_two_questions(one: str, other: str) -> None:
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize("text", ["", "?!", "please", " \u200b ", "a" * (CHARS + 1)], ids=ascii)
def test_what_has_no_words_or_too_many_is_no_question(text: str) -> None:
    assert key_of(text) == ""


@pytest.mark.parametrize("text", ["ﷺ" * CHARS, "?" * CHARS, "a " * (CHARS // 2), "a" * 100_000], ids=lambda t: t[:2])
def test_no_text_takes_long(text: str) -> None:
    key_of("warm up")
    began = time.process_time()
    key_of(text)
    assert time.process_time() - began < 0.1


@needs_real_data
@pytest.mark.parametrize(
    "names",
    [
        ["squad2/questions.jsonl", "squad2/unanswerable.jsonl"],
        ["xquad-de/questions.jsonl"],
        ["xquad-ar/questions.jsonl"],
    ],
    ids=["english", "german", "arabic"],
)
def test_of_questions_that_people_asked_no_two_different_ones_match(names: list[str]) -> None:
    asked = {" ".join(row["question"].split()) for name in names for row in lines(name)}
    assert len(asked) > 1000
    assert len({key_of(question) for question in asked}) == len(asked)


@needs_real_data
def test_courtesy_case_and_punctuation_never_hide_a_question_that_was_answered() -> None:
    asked = [row["question"] for row in lines("squad2/questions.jsonl")]
    assert all(key_of(f"Hello, {text.upper().rstrip('? ')} please!") == key_of(text) for text in asked)
