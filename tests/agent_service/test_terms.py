import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_service.pipeline import terms
from agent_service.pipeline.terms import asked_terms, folded, overlap, terms_of, weights, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("companies", "Company"),
        ("walking", "walked"),
        ("للكتاب", "الكتاب"),
        ("Straße", "STRASSE"),
        ("Ｆｕｌｌ", "full"),
        ("كِتَاب", "كتاب"),
    ],
)
def test_forms_of_a_word_are_one_term(one: str, other: str) -> None:
    assert terms_of(one) == terms_of(other)


def test_scripts_without_spaces_give_pairs() -> None:
    assert terms_of("北京大学 很") == ["北京", "京大", "大学", "很"]


def test_vowel_signs_belong_to_their_word() -> None:
    assert len(terms_of("हिन्दी")) == 1


def test_a_question_is_asked_by_its_content() -> None:
    assert asked_terms("What is the length of the Elbe?") == terms_of("length elbe")
    assert asked_terms("Wo ist die Elbe?") == terms_of("Elbe")


def test_a_question_of_asking_words_alone_keeps_them() -> None:
    assert asked_terms("What is that?") == ["what", "is", "that"]
    assert asked_terms("?!") == []


def test_rare_terms_weigh_more() -> None:
    weight = weights([["the", "elbe"], ["the", "rhine"], ["the"]])
    assert weight["elbe"] > weight["the"] > 0


def test_overlap_is_the_share_of_the_weight() -> None:
    assert overlap(["a", "b"], ["b", "c"], {"a": 1.0, "b": 3.0}) == 0.75
    assert overlap([], ["b"], {}) == 0


@pytest.mark.parametrize("evil", ["a", "\u0301", "ies", "北", "_", "é", "ال"])
def test_no_text_takes_long(evil: str) -> None:
    started = time.perf_counter()
    terms_of(evil * 40_000)
    assert time.perf_counter() - started < 1


@given(st.one_of(st.text(max_size=80), st.text("aB0_'\u2019sé\u0301\u0e01北ك\u064b \n-\x1f\xa0ſ", max_size=40)))
@example("the dog's'S '_'s")
@example("l\u2019été, Anna\u2019s")
def test_the_short_ways_find_the_same_words(text: str) -> None:
    """Words are found in one way by questions, texts and stored indexes, whatever else the text has in it."""
    assert words_of(text) == terms._WORD.findall(terms._POSSESSIVE.sub("", folded(text)))
