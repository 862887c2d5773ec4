import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.pipeline.sentences import LONGEST, sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


CASES = {
    "One. Two! Three? Four": ["One.", "Two!", "Three?", "Four"],
    "He said “Stop.” Then he left.": ["He said “Stop.”", "Then he left."],
    "It costs 3.5 million at example.org today.": ["It costs 3.5 million at example.org today."],
    "Dr. Smith met J. Doe on the 3. Oktober. He left.": ["Dr. Smith met J. Doe on the 3. Oktober.", "He left."],
    "Das gilt z. B. für Prof. Müller bzw. alle. Ende.": ["Das gilt z. B. für Prof. Müller bzw. alle.", "Ende."],
    "It was 1998. then it ended.": ["It was 1998. then it ended."],
    "It was 1998. Then it ended.": ["It was 1998.", "Then it ended."],
    "北京很大。上海呢？好！": ["北京很大。", "上海呢？", "好！"],
    "ذهب الولد. هل عاد؟ نعم": ["ذهب الولد.", "هل عاد؟", "نعم"],
    "मैं गया। वह आया॥ ठीक": ["मैं गया।", "वह आया॥", "ठीक"],
    "A heading\n\nA line\nwrapped. End.": ["A heading", "A line\nwrapped.", "End."],
    "Wait... what": ["Wait...", "what"],
    "  \n ": [],
    "": [],
}


@pytest.mark.parametrize("text", CASES)
def test_sentences_end_where_a_reader_would_end_them(text: str) -> None:
    assert sentences(text) == CASES[text]


def test_a_table_without_full_stops_is_cut_at_its_lines() -> None:
    table = "\n".join(f"Row {n}: revenue {n * 1000}, cost {n * 900}" for n in range(60))
    cut = sentences(table)
    assert all(len(part) <= LONGEST for part in cut)
    assert all(part.startswith("Row") for part in cut)


def test_a_line_without_end_is_cut_at_spaces() -> None:
    assert all(len(part) <= LONGEST for part in sentences("word " * 1000))


def test_a_word_without_end_stays_whole() -> None:
    assert sentences("x" * 2000) == ["x" * 2000]


@given(st.text(alphabet="aB .!?\n。\"'1", max_size=1500))
def test_every_letter_is_in_exactly_one_sentence(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize("evil", ["!", ".", '."', "\n ", "。", " ", "a. ", "1. ", "\n"])
def test_no_text_takes_long(evil: str) -> None:
    started = time.perf_counter()
    sentence_spans(evil * (40_000 // len(evil)))
    assert time.perf_counter() - started < 1
