"""Answers of which only what the passages support is shown."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.contract import Passage
from agent_service.pipeline.citing import MarkerFilter
from agent_service.pipeline.supporting import Sources
from agent_service.pipeline.withholding import Gate

RIVER = Passage(id=uuid4(), title="T", text="The river Elbe is 1,094 km long. It ends in the North Sea.")
CITY = Passage(id=uuid4(), title="T", text="Hamburg has two million people. Its harbour was founded in 1189.")
PASSAGES = [RIVER, CITY]


class Shown:
    """What a gate lets through of an answer that comes in pieces of `size`."""

    def __init__(self, answer: str, size: int | None = None, *, finished: bool = True) -> None:
        self.gate = Gate(PASSAGES, Sources(PASSAGES, "What of the Elbe?"))
        self.markers = MarkerFilter(len(PASSAGES))
        self.position = 0
        step = size or max(1, len(answer))
        self.pieces = [self._fed(self.markers.feed(answer[i : i + step])) for i in range(0, len(answer), step)]
        self.pieces.append(self._fed(self.markers.flush()) + self.gate.flush(finished=finished))
        self.text = "".join(self.pieces)

    def _fed(self, _: str) -> str:
        plain, marks = self.markers.fresh()
        position, self.position = self.position, self.position + len(plain)
        return self.gate.feed(plain, marks, position)


TRUE = "The Elbe is 1,094 km long [1]."
ALSO = "Hamburg has two million people [2]."
FALSE = "The Elbe is poisonous [1]."

CASES = {
    f"{TRUE} {ALSO}": (f"{TRUE} {ALSO}", 0),
    f"{TRUE} {FALSE} {ALSO}": (f"{TRUE} {ALSO}", 1),
    f"{FALSE} {TRUE}": (TRUE, 1),
    f"{TRUE}\n\n{FALSE} {ALSO}": (f"{TRUE}\n\n{ALSO}", 1),
    f"- {TRUE}\n- {FALSE}\n- {ALSO}": (f"- {TRUE}\n- {ALSO}", 1),
    f"Here it is:\n\n{TRUE}": (f"Here it is:\n\n{TRUE}", 0),
    f"## Elbe\n{FALSE}\n## Hamburg\n{ALSO}": (f"## Hamburg\n{ALSO}", 1),
    f"{TRUE}\n## Elbe\n{FALSE}": (TRUE, 1),
    f"Hello! {FALSE}": ("", 1),
    f"{FALSE} {FALSE}": ("", 2),
    "Hello! How can I help you?": ("Hello! How can I help you?", 0),
    f"{TRUE} I hope this helps!": (f"{TRUE} I hope this helps!", 0),
    "The Elbe is 1,094 km long [2].": ("The Elbe is 1,094 km long.", 0),
    "The Elbe is 1,094 km long [2] [1].": ("The Elbe is 1,094 km long [1].", 0),
    "The Elbe is 1,094 km long.[1] Done, it is over.": ("The Elbe is 1,094 km long.[1]", 1),
    "": ("", 0),
}


@pytest.mark.parametrize("answer", CASES)
@pytest.mark.parametrize("size", [None, 1, 3, 7])
def test_what_is_not_supported_is_not_shown(answer: str, size: int | None) -> None:
    shown = Shown(answer, size)
    assert (shown.text, shown.gate.withheld) == CASES[answer]


def test_the_first_sentence_does_not_wait_for_the_rest() -> None:
    shown = Shown(f"{TRUE} {ALSO} {TRUE}", 1)
    first = next(place for place, piece in enumerate(shown.pieces) if piece)
    assert first <= len(TRUE) + 3


@pytest.mark.parametrize("size", [None, 1, 6])
def test_a_quotation_of_several_sentences_is_cited_whole(size: int | None) -> None:
    [citation] = Shown(f"From it:\n\n“{RIVER.text}” [1]", size).gate.result().citations
    assert citation.quote == RIVER.text


def test_what_is_told_fits_what_was_shown() -> None:
    shown = Shown(f"Here:\n{TRUE} {FALSE} The Elbe is 1,094 km long [2]. {ALSO}", 5)
    result = shown.gate.result()
    assert [shown.text[one.start : one.end] for one in result.sentences] == [
        "Here:",
        TRUE,
        "The Elbe is 1,094 km long.",
        ALSO,
    ]
    assert all(one.supported for one in result.sentences if one.claim)
    assert result.rejected == 2
    assert [citation.marker for citation in result.citations] == [1, 2]


@pytest.mark.parametrize(
    ("answer", "expected"), [(f"{TRUE} Hamburg has two million", TRUE), (f"{TRUE} {ALSO}", f"{TRUE} {ALSO}")]
)
def test_half_a_sentence_at_a_cut_is_left_out(answer: str, expected: str) -> None:
    assert Shown(answer, finished=False).text == expected


def test_a_line_without_end_is_cut_and_not_read_over_and_over() -> None:
    shown = Shown("x" * 20_000, 100)
    assert (shown.text, shown.gate.withheld > 0) == ("", True)


PARTS = st.lists(
    st.sampled_from([TRUE, ALSO, FALSE, "Hello!", "## Elbe\n", "\n", "It is:", "[9]", "`x[1]`", "。"]), max_size=8
)


@given(PARTS, st.integers(1, 9))
def test_however_it_is_cut_into_pieces_the_same_is_shown(parts: list[str], size: int) -> None:
    whole, cut = Shown(" ".join(parts)), Shown(" ".join(parts), size)
    assert (cut.text, cut.gate.withheld) == (whole.text, whole.gate.withheld)
    assert "poisonous" not in cut.text
    for sentence in cut.gate.result().sentences:
        assert cut.text[sentence.start : sentence.end].strip()
