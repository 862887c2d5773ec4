"""Answers as they were shown: which sentences stand, and the quotes behind their markers."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.contract import MAX_EVIDENCE, MAX_SENTENCES, Citation, Passage, Sentence
from agent_service.pipeline.checking import Checked, checked
from agent_service.pipeline.citing import MarkerFilter
from agent_service.pipeline.supporting import Sources


def passage(text: str) -> Passage:
    return Passage(id=uuid4(), title="T", text=text)


def read(answer: str, passages: int) -> tuple[str, MarkerFilter]:
    markers = MarkerFilter(passages)
    return markers.feed(answer) + markers.flush(), markers


def check(answer: str, *passages: Passage, question: str = "") -> Checked:
    _, markers = read(answer, len(passages))
    return checked(markers.plain, markers.marks, Sources(passages, question), passages)


def cited(answer: str, *passages: Passage) -> list[Citation]:
    return check(answer, *passages).citations


RIVER = passage("Water is wet. The river Elbe is 1,094 km long. It ends in the North Sea.")
CITY = passage("Hamburg has two million people. Its harbour was founded in 1189.")


def test_the_quote_is_the_sentence_that_supports_the_claim() -> None:
    [citation] = cited("The Elbe is about 1,094 km long [1].", RIVER, CITY)
    assert citation.quote == "The river Elbe is 1,094 km long."
    assert RIVER.text[citation.start : citation.end] == citation.quote
    assert (citation.marker, citation.passage) == (1, RIVER.id)
    assert 0.5 < citation.score <= 1


@pytest.mark.parametrize(("opened", "closed"), ["“”", "„“", "«»", '""'])
def test_what_an_answer_quotes_word_for_word_is_what_is_cited(opened: str, closed: str) -> None:
    folded = passage("Water is wet. The river Elbe\n  is 1,094 km long. It ends in the North Sea.")
    [citation] = cited(f"{opened}The river Elbe is 1,094 km long. It ends in the North Sea.{closed} [1]", folded)
    assert citation.quote == "The river Elbe\n  is 1,094 km long. It ends in the North Sea."


def test_a_quotation_may_hold_quotation_marks_of_its_own() -> None:
    text = "The keeper said: “All is well.” He went home."
    [citation] = cited("“The keeper said: “All is well.”” [1]", passage(text))
    assert citation.quote == "The keeper said: “All is well.”"


def test_a_quotation_that_is_none_is_checked_like_any_claim() -> None:
    [citation] = cited("“The Elbe is 1,094 km long.” [1]", RIVER)
    assert citation.quote == "The river Elbe is 1,094 km long."
    assert cited("“The river Elbe is 2,000 km long.” [1]", RIVER) == []


def test_each_marker_is_cited_once_in_the_order_of_appearance() -> None:
    found = cited("The harbour is from 1189 [2]. The Elbe is long [1]. People live there [2].", RIVER, CITY)
    assert [citation.marker for citation in found] == [2, 1]


@pytest.mark.parametrize(
    "answer", ["The harbour was founded in 1189. [1] People.", "The harbour was founded in 1189.[1] People."]
)
def test_a_marker_behind_the_full_stop_belongs_to_the_sentence_before(answer: str) -> None:
    [citation] = cited(answer, CITY)
    assert citation.quote == "Its harbour was founded in 1189."


@pytest.mark.parametrize(
    ("answer", "text", "quote"),
    [
        (
            "Der Hafen wurde 1189 gegründet [1].",
            "Hamburg ist groß. Der Hafen wurde 1189 gegründet.",
            "Der Hafen wurde 1189 gegründet.",
        ),
        (
            "北京面积一万六千平方公里[1]。",
            "上海有港口。北京面积大约一万六千平方公里。",
            "北京面积大约一万六千平方公里。",
        ),
        ("عاصمة مصر هي القاهرة [1].", "النيل نهر طويل. القاهرة عاصمة مصر.", "القاهرة عاصمة مصر."),
        ("मोर भारत का पक्षी है [1]।", "बाघ पशु है। मोर भारत का राष्ट्रीय पक्षी है।", "मोर भारत का राष्ट्रीय पक्षी है।"),
    ],
)
def test_quotes_are_found_in_other_languages(answer: str, text: str, quote: str) -> None:
    assert [citation.quote for citation in cited(answer, passage(text))] == [quote]


@pytest.mark.parametrize("answer", ["Völlig anders [1].", "[1] is the source", "Nothing [1].", "[1]", "? [1]"])
def test_a_marker_whose_passage_says_nothing_of_it_is_rejected(answer: str) -> None:
    result = check(answer, passage("🙂 One 👩‍👩‍👧 two. Three."))
    assert (result.citations, result.rejected) == ([], 1)


def test_a_passage_of_white_space_supports_nothing() -> None:
    assert cited("Nothing [1].", passage("   ")) == []


@given(st.text(min_size=1, max_size=200), st.text(max_size=50))
def test_the_quote_always_stands_in_the_passage(text: str, claim: str) -> None:
    source = passage(text)
    for citation in cited(f"{claim} [1].", source):
        assert citation.quote == source.text[citation.start : citation.end]
        assert citation.quote


def shown_sentences(answer: str, *passages: Passage, question: str = "") -> list[tuple[str, Sentence]]:
    shown, _ = read(answer, len(passages))
    found = check(answer, *passages, question=question).sentences
    return [(shown[one.start : one.end], one) for one in found]


def test_every_sentence_is_told_with_its_markers() -> None:
    found = shown_sentences(
        "The Elbe is 1,094 km long [1]. [9] It burns.[2] Hello!\n- two million people [2]", RIVER, CITY
    )
    assert [(text, one.claim, one.supported, one.markers) for text, one in found] == [
        ("The Elbe is 1,094 km long [1].", True, True, [1]),
        ("It burns.[2]", True, False, []),
        ("Hello!", False, False, []),
        ("- two million people [2]", True, True, [2]),
    ]


def test_what_has_no_marker_gets_one_where_a_passage_supports_it() -> None:
    [(_, sentence)] = shown_sentences("The harbour was founded in 1189.", RIVER, CITY)
    assert sentence.markers == [2]
    [citation] = cited("The harbour was founded in 1189.", RIVER, CITY)
    assert (citation.marker, citation.quote) == (2, "Its harbour was founded in 1189.")


def test_a_marker_of_the_wrong_passage_is_rejected_and_the_right_one_added() -> None:
    result = check("The harbour was founded in 1189 [1].", RIVER, CITY)
    assert [citation.marker for citation in result.citations] == [2]
    assert result.rejected == 1


def test_a_marker_at_the_end_of_a_line_stands_for_the_sentences_before_it() -> None:
    twice = [passage("Days are lost in March. More."), passage("Holiday is 28 days. Days are lost in March.")]
    found = shown_sentences("Days are lost in March. Holiday is 28 days [2].", *twice)
    assert [one.markers for _, one in found] == [[2], [2]]


def test_each_sentence_has_evidence_of_its_own() -> None:
    answer = "The Elbe is 1,094 km long [1]. It ends in the North Sea [1]."
    quotes = [
        RIVER.text[one.evidence[0].start : one.evidence[0].end] for _, one in shown_sentences(answer, RIVER, CITY)
    ]
    assert quotes == ["The river Elbe is 1,094 km long.", "It ends in the North Sea."]


def test_markers_within_a_sentence_stand_for_what_is_before_them() -> None:
    [(_, whole)] = shown_sentences(
        "The Elbe is 1,094 km long [1] whereas Hamburg has two million people [2].", RIVER, CITY
    )
    assert (whole.supported, sorted(whole.markers)) == (True, [1, 2])
    [(_, half)] = shown_sentences("The Elbe is 1,094 km long [1], says nobody anywhere.", RIVER)
    assert (half.supported, half.markers) == (False, [1])


def test_footnotes_at_the_end_belong_to_their_own_lines() -> None:
    found = shown_sentences("The Elbe is long.\n[1] The Elbe is 1,094 km long.", RIVER)
    assert [text for text, _ in found] == ["The Elbe is long.", "[1] The Elbe is 1,094 km long."]


def test_fifty_markers_are_fifty_citations() -> None:
    many = [passage(f"Room {n} seats {n + 100} guests.") for n in range(1, 51)]
    answer = " ".join(f"Room {n} seats {n + 100} guests [{n}]." for n in range(1, 51))
    result = check(answer, *many)
    assert [citation.quote for citation in result.citations] == [one.text for one in many]
    [sentence] = check("Rooms seat guests " + "".join(f"[{n}]" for n in range(1, 51)), *many).sentences
    assert len(sentence.evidence) <= MAX_EVIDENCE


def test_right_to_left_text_keeps_its_places() -> None:
    source = passage("النيل نهر طويل. القاهرة عاصمة مصر.")
    [(text, sentence)] = shown_sentences("القاهرة عاصمة مصر [١].", source)
    assert text == "القاهرة عاصمة مصر [1]."
    assert source.text[sentence.evidence[0].start : sentence.evidence[0].end] == "القاهرة عاصمة مصر."


def test_a_passage_with_markers_of_its_own_is_quoted_as_it_is() -> None:
    source = passage("As Smith [1] showed [2], ice melts at 0 degrees. More.")
    [citation] = cited("Ice melts at 0 degrees, as Smith showed [1].", source)
    assert citation.quote == "As Smith [1] showed [2], ice melts at 0 degrees."


def test_endless_answers_have_a_bounded_list() -> None:
    assert len(check("Yes it is. " * (MAX_SENTENCES + 100), RIVER).sentences) == MAX_SENTENCES


LETTERS = st.text(alphabet='aéß \n.?![]12`“”"北京。ก\u0627\u0301🙂', max_size=120)


@given(LETTERS, st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=3))
def test_whatever_an_answer_is_its_sentences_and_quotes_stand_where_they_say(answer: str, texts: list[str]) -> None:
    sources = [passage(text) for text in texts]
    shown, _ = read(answer, len(sources))
    result = check(answer, *sources)
    end = 0
    for sentence in result.sentences:
        assert end <= sentence.start < sentence.end <= len(shown)
        end = sentence.end
        assert set(sentence.markers) <= {citation.marker for citation in result.citations}
        for one in sentence.evidence:
            assert sources[one.marker - 1].text[one.start : one.end]
    for citation in result.citations:
        assert sources[citation.marker - 1].text[citation.start : citation.end] == citation.quote
