import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.pipeline.languages import language_of
from agent_service.pipeline.lexical import MOST, PAIR_WEIGHT, asked, indexed
from agent_service.pipeline.terms import words_of


def meets(question: str, text: str, *languages: str) -> bool:
    """Whether every word of the question is a term of the text."""
    counts = indexed(text).counts
    words = [one for one in asked(question, languages or [indexed(text).language]) if one.weight >= 1]
    return bool(words) and all(one.forms & counts.keys() for one in words)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Who is Amcor's CEO?", "The CEO of Amcor was asked about the year."),
        ("companies", "This is the company that was there before us."),
        ("Wo sind die Häuser?", "Das Haus ist alt und steht seit dem Krieg."),
        ("Quelles libertés ?", "La liberté est dans les rues de la ville."),
        ("للكتاب", "هذا الكتاب من مكتبة المدينة"),
        ("كتاب", "كِتَاب جديد في المدينة"),
        ("哪里是北京大学", "我住在北京大学"),
        ("ประเทศไทย", "ประเทศไทยมีกรุงเทพเป็นเมืองหลวง"),
        ("हिन्दी की भाषा", "हिन्दी एक भाषा है और भारत में है"),
        ("Книги", "Эта книга о том, что было в городе"),
    ],
)
def test_a_question_meets_its_text(question: str, text: str) -> None:
    assert meets(question, text)


def test_another_word_is_not_met() -> None:
    assert not meets("giraffe", "The company sells packaging.")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The price of oil had risen by the end of the embargo.", "en"),
        ("Die Verteidigung der Panthers gab nur 308 Punkte ab und belegte den sechsten Platz.", "de"),
        ("La maison est dans la rue qui est près de la gare.", "fr"),
        ("De jongen heeft het boek niet gelezen en is naar huis gegaan.", "nl"),
        ("كان الفريق في المركز السادس", "ar"),
        ("این کتاب چگونه پیدا شد و از کجا آمد", "fa"),
        ("Команда заняла шестое место", "ru"),
        ("Η ομάδα ήταν έκτη", "el"),
        ("北京大学", ""),
        ("3.14 42 | 17", "en"),
        ("", ""),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(words_of(text)) == language


def test_a_short_question_is_in_the_language_of_what_it_is_asked_of() -> None:
    assert language_of(["donau"], likely=["de", "en"]) == "de"


def test_a_question_is_asked_in_every_language_of_the_texts() -> None:
    german = "Die Länder an der Donau und die Länge der Flüsse sind hier genannt."
    english = "The length of the rivers and of the countries is told here."
    assert meets("Flüsse", german, "en", "de")
    assert meets("rivers", english, "de", "en")


def test_joining_words_ask_nothing() -> None:
    assert asked("Who is it and what are they?", ["en"]) == []
    assert asked("?!", ["en"]) == []
    assert asked("was ist das", ["de"]) == []


def test_neighbours_count_as_a_pair_that_weighs_less() -> None:
    in_order, apart = indexed("The oil price fell."), indexed("The price fell with oil.")
    (pair,) = [one for one in asked("oil price", ["en"]) if one.weight == PAIR_WEIGHT]
    assert pair.forms & in_order.counts.keys()
    assert not pair.forms & apart.counts.keys()


def test_a_word_asked_twice_weighs_twice() -> None:
    assert next(one.weight for one in asked("oil, oil", ["en"])) == 2


def test_a_heading_counts_twice() -> None:
    (oil,) = asked("oil", ["en"])
    (term,) = oil.forms
    plain, headed = indexed("Oil rose."), indexed("Oil rose.", "Oil")
    assert (plain.counts[term], headed.counts[term]) == (1, 3)
    assert headed.length == plain.length + 2


def test_counts_stay_what_can_be_stored() -> None:
    much = indexed("oil " * 40_000)
    assert (much.length, max(much.counts.values())) == (MOST, MOST)


@given(st.text(max_size=300))
def test_any_text_gives_terms_that_can_be_stored(text: str) -> None:
    found = indexed(text, text[:50])
    assert 0 <= found.length <= MOST
    assert all(-(2**31) <= term < 2**31 and 0 < count <= MOST for term, count in found.counts.items())


@given(st.text(max_size=120))
def test_a_text_has_all_that_it_is_asked_in_its_own_words(text: str) -> None:
    counts = indexed(text).counts
    for one in asked(text, [indexed(text).language]):
        assert one.weight < 1 or one.forms & counts.keys() or max(text) >= "\u3040"


@pytest.mark.parametrize("evil", ["a", "\u0301", "ies", "北", "_", "é", "ال", "'s", "a's "])
def test_no_text_takes_long(evil: str) -> None:
    started = time.perf_counter()
    indexed((evil * 40_000)[:40_000])
    assert time.perf_counter() - started < 2
