from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.contract import Citation, Passage
from agent_service.pipeline.citing import MarkerFilter, citations, without_markers


def filtered(text: str, passages: int = 3, size: int | None = None) -> tuple[str, int]:
    """What is shown of a text fed in pieces of `size` letters, and how many markers were taken out."""
    markers = MarkerFilter(passages)
    step = size or max(1, len(text))
    shown = "".join(markers.feed(text[i : i + step]) for i in range(0, len(text), step)) + markers.flush()
    return shown, markers.rejected


CASES = {
    "Paris [1].": ("Paris [1].", 0),
    "Paris [1][3].": ("Paris [1][3].", 0),
    "Paris [1, 2].": ("Paris [1][2].", 0),
    "Paris [1; 2 ;3].": ("Paris [1][2][3].", 0),
    "Paris [1-3].": ("Paris [1][2][3].", 0),
    "Paris [2, 9].": ("Paris [2].", 1),
    "Paris [9].": ("Paris.", 1),
    "Paris [9], the capital": ("Paris, the capital", 1),
    "Paris [9] is big": ("Paris is big", 1),
    "Paris [0] is [4] big": ("Paris is big", 2),
    "Paris[9]": ("Paris", 1),
    "[9] Paris": (" Paris", 1),
    "[7][8]": ("", 2),
    "[1][9][2]": ("[1][2]", 1),
    "Paris [1][1]": ("Paris [1][1]", 0),
    "Paris [1, 1]": ("Paris [1]", 0),
    "in [2023-2024] and [2019]": ("in and", 3),
    "巴黎【1】是首都【8】。": ("巴黎[1]是首都。", 1),
    "باريس [١].": ("باريس [1].", 0),
    "a [see 1] b [] c [ ] d [x]": ("a [see 1] b [] c [ ] d [x]", 0),
    "[[1]] [[9]]": ("[[1]] []", 1),
    "[1[2]": ("[1[2]", 0),
    "open [12": ("open [12", 0),
    "open [": ("open [", 0),
    "[" + "9" * 5000 + "]": ("", 1),
    "[00000001]": ("[1]", 0),
    "tail  \n": ("tail", 0),
    "a ? b [9] c ?": ("a ? b c ?", 1),
    "": ("", 0),
}


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("size", [None, 1, 2, 3])
def test_only_markers_that_point_at_a_passage_are_shown(text: str, size: int | None) -> None:
    assert filtered(text, size=size) == CASES[text]


@given(st.text(alphabet="ab [],-19【】.\n", max_size=60), st.integers(1, 7))
def test_how_an_answer_is_cut_into_pieces_changes_nothing(text: str, size: int) -> None:
    assert filtered(text, size=size) == filtered(text)


def test_text_that_cannot_become_a_marker_is_not_held_back() -> None:
    markers = MarkerFilter(3)
    pieces = ["See [", "note", "] and [1", "2", " of"]
    assert [markers.feed(piece) for piece in pieces] == ["See", " [note", "] and", "", " [12 of"]


def passage(text: str) -> Passage:
    return Passage(id=uuid4(), title="T", text=text)


def cited(answer: str, *passages: Passage) -> list[Citation]:
    markers = MarkerFilter(len(passages))
    markers.feed(answer)
    markers.flush()
    return citations(markers.plain, markers.marks, passages)


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


def test_a_quotation_that_is_none_is_cited_like_any_claim() -> None:
    [citation] = cited("“The river Elbe is 2,000 km long.” [1]", RIVER)
    assert citation.quote == "The river Elbe is 1,094 km long."


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
        ("北京的面积很大[1]。", "上海有港口。北京面积大约一万六千平方公里。", "北京面积大约一万六千平方公里。"),
        ("عاصمة مصر هي القاهرة [1].", "النيل نهر طويل. القاهرة عاصمة مصر.", "القاهرة عاصمة مصر."),
        ("मोर भारत का पक्षी है [1]।", "बाघ पशु है। मोर भारत का राष्ट्रीय पक्षी है।", "मोर भारत का राष्ट्रीय पक्षी है।"),
    ],
)
def test_quotes_are_found_in_other_languages(answer: str, text: str, quote: str) -> None:
    assert [citation.quote for citation in cited(answer, passage(text))] == [quote]


def test_a_claim_in_another_language_still_has_a_quote() -> None:
    [citation] = cited("Völlig anders [1].", passage("🙂 One 👩‍👩‍👧 two. Three."))
    assert citation.quote in {"🙂 One 👩‍👩‍👧 two.", "Three."}
    assert citation.score == 0


def test_a_marker_with_nothing_before_it_still_has_a_quote() -> None:
    [citation] = cited("[1] is the source", CITY)
    assert CITY.text[citation.start : citation.end] == citation.quote


def test_a_passage_of_white_space_is_quoted_as_it_is() -> None:
    [citation] = cited("Nothing [1].", passage("   "))
    assert citation.quote == "   "


@given(st.text(min_size=1, max_size=200), st.text(max_size=50))
def test_the_quote_always_stands_in_the_passage(text: str, claim: str) -> None:
    source = passage(text)
    for citation in cited(f"{claim} [1].", source):
        assert citation.quote == source.text[citation.start : citation.end]
        assert citation.quote


def test_brackets_of_a_quoted_text_do_not_look_like_ours() -> None:
    assert without_markers("as shown [3] and [4, 5] in [fig. 1]") == "as shown (3) and (4, 5) in [fig. 1]"
