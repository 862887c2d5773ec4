import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.core.ids import uuid7
from backend.documents.chunking import WINDOW_CHARS, Span, chunk_spans, visible
from backend.documents.models import chunk_id
from backend.documents.sections import cuts

words = st.text(alphabet="ab .\n\t😀é\u0301א中", max_size=400)


@given(text=words, chunk_chars=st.integers(50, 200), overlap=st.integers(0, 300))
@settings(deadline=None, max_examples=100)
def test_chunks_are_in_order_within_size_and_hold_all_that_is_visible(
    text: str, chunk_chars: int, overlap: int
) -> None:
    spans = chunk_spans(text, chunk_chars=chunk_chars, overlap=overlap)
    assert all(0 < span.end - span.start <= chunk_chars and visible(text[span.start : span.end]) for span in spans)
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    covered = {place for span in spans for place in range(span.start, span.end)}
    assert all(not visible(char) for place, char in enumerate(text) if place not in covered)


def test_the_same_text_gives_the_same_chunks() -> None:
    text = "One sentence. Another sentence! A third? " * 100
    first, second = (chunk_spans(text, chunk_chars=200, overlap=40) for _ in range(2))
    assert first == second


def test_chunks_end_with_sentences_and_overlap() -> None:
    text = "Dogs run far. Cats sit still. Birds fly high. Fish swim deep. Cows eat grass. Bees make honey."
    first, second, *_ = chunk_spans(text, chunk_chars=50, overlap=20)
    assert text[first.start : first.end].endswith("high.")
    assert text[second.start : second.end].startswith("Birds")


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\u2060"])
def test_nothing_visible_makes_no_chunk(text: str) -> None:
    assert chunk_spans(text, chunk_chars=100, overlap=0) == []


def test_text_beyond_a_window_keeps_its_offsets() -> None:
    text = "".join(f"Paragraph {number} says so.\n\n" for number in range(2000))
    last = chunk_spans(text, chunk_chars=100, overlap=0)[-1]
    assert len(text) > WINDOW_CHARS
    assert text[last.start : last.end].endswith("Paragraph 1999 says so.")


def test_megabytes_without_structure_take_no_more_than_a_moment() -> None:
    begun = time.monotonic()
    assert chunk_spans("word " * 600_000, chunk_chars=1000, overlap=150)
    assert time.monotonic() - begun < 5


@given(text=words, limit=st.integers(1, 50))
def test_cuts_cover_the_text_without_gap_or_overlap(text: str, limit: int) -> None:
    pieces = list(cuts(text, limit))
    assert "".join(text[start:end] for start, end in pieces) == text
    assert all(0 < end - start <= limit for start, end in pieces)


@pytest.mark.parametrize(
    ("text", "cut"), [("aaaa bb\n\nccc dd", 9), ("aaaa bb\nccc dddd", 8), ("aaaa b. ccc dddd", 8), ("a" * 20, 12)]
)
def test_a_cut_prefers_paragraph_then_line_then_sentence_then_word(text: str, cut: int) -> None:
    assert next(cuts(text, 12)) == (0, cut)


def test_a_chunk_keeps_its_id_in_every_repeat() -> None:
    version = uuid7()
    assert chunk_id(version, 3) == chunk_id(version, 3)
    assert len({chunk_id(version, 3), chunk_id(version, 4), chunk_id(uuid7(), 3)}) == 3


def test_a_span_is_a_value() -> None:
    assert Span(1, 2) == Span(1, 2)
