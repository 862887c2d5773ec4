import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.pipeline.citing import MarkerFilter, without_markers


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


IN_CODE = {
    "see `values[9]` and [9] [1]": ("see `values[9]` and [1]", 1),
    "```py\nvalues[9]\n```\nas shown [9] [2]": ("```py\nvalues[9]\n```\nas shown [2]", 1),
    "``a`[9]`` [9]": ("``a`[9]``", 1),
    "a lone ` and [9]\nand [1]": ("a lone ` and\nand [1]", 1),
    "`open [9]": ("`open", 1),
    "```\nopen[9]": ("```\nopen[9]", 0),
    "`" + "x" * 400 + "[9]` [1]": ("`" + "x" * 400 + "` [1]", 1),
}


@pytest.mark.parametrize("text", IN_CODE)
@pytest.mark.parametrize("size", [None, 1, 2, 3])
def test_brackets_in_code_are_code(text: str, size: int | None) -> None:
    assert filtered(text, size=size) == IN_CODE[text]


@given(st.text(alphabet="ab `\n[]19", max_size=50), st.integers(1, 4))
def test_how_code_is_cut_into_pieces_changes_nothing(text: str, size: int) -> None:
    assert filtered(text, size=size) == filtered(text)


def test_a_marker_taken_out_leaves_the_end_of_its_line() -> None:
    assert filtered("One [9]\n two") == ("One\n two", 1)


def test_brackets_of_a_quoted_text_do_not_look_like_ours() -> None:
    assert without_markers("as shown [3] and [4, 5] in [fig. 1]") == "as shown (3) and (4, 5) in [fig. 1]"
