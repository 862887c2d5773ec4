"""Questions that might follow: what is made of what a model wrote."""

from uuid import uuid4

import pytest

from agent_service.contract import Passage, Turn
from agent_service.pipeline.suggesting import asked_before, headings, read_questions

WRITTEN = {
    "How long is it?\nWho built it?": ["How long is it?", "Who built it?"],
    "1. How long is it?\n2) Who built it?\n": ["How long is it?", "Who built it?"],
    "- “How long is it?”\n* **Who built it?**": ["How long is it?", "Who built it?"],
    '["How long is it?", "Who built it?"]': ["How long is it?", "Who built it?"],
    '```json\n["How long is it?", 7, "Who built it?"]\n```': ["How long is it?", "Who built it?"],
    "Here are some questions:\n\nHow long is it [1]?\nHow long is it?\nHOW LONG IS IT?": ["How long is it?"],
    "Where is it?\nHow long is it?": ["How long is it?"],
    "它有多长？\n谁建造了它？": ["它有多长？", "谁建造了它？"],
    "كم طوله؟\nمن بناه؟": ["كم طوله؟", "من بناه؟"],
    "[not json\nHow long is it?": ["How long is it?"],
    "x" * 5000 + "?": [],
    "I cannot do that.": [],
    "": [],
}


@pytest.mark.parametrize("written", WRITTEN)
def test_questions_are_read_whatever_form_they_have(written: str) -> None:
    assert read_questions(written, ["Where is it?"], 5) == WRITTEN[written]


def test_no_more_than_were_asked_for() -> None:
    assert len(read_questions("\n".join(f"What of number {n}?" for n in range(9)), [], 3)) == 3


def test_what_was_asked_in_the_conversation_is_not_suggested_again() -> None:
    history = [Turn(role="user", text="How long is it?"), Turn(role="assistant", text="Who built it?")]
    asked = asked_before("Where is it?", history)
    assert read_questions("how long is it?\nWho built it?\nWhere is it?", asked, 5) == ["Who built it?"]


def test_headings_of_passages_that_were_not_cited() -> None:
    texts = [
        "## Opening hours\nWe open at eight.",
        "Prices\nTwo pounds.",
        "A sentence.\nAnother.",
        "prices\nMore",
        "Alone",
    ]
    passages = [Passage(id=uuid4(), title="T", text=text) for text in texts]
    assert headings(passages, [1], 5) == ["Prices"]
    assert headings(passages, [], 1) == ["Opening hours"]
