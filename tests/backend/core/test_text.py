from hypothesis import given
from hypothesis import strategies as st

from backend.core.ids import uuid7
from backend.core.text import clean_text


@given(st.text(alphabet=st.characters()))
def test_cleaned_text_can_be_stored_and_stays_as_it_is(text: str) -> None:
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    cleaned.encode()
    assert clean_text(cleaned) == cleaned


def test_what_a_reader_sees_is_kept() -> None:
    text = "Ünïcode\tund\n\nمرحبا 你好 नमस्ते 👩‍👩‍👧"
    assert clean_text(text) == text


def test_line_breaks_become_one_kind_and_hidden_letters_go() -> None:
    assert clean_text("a\r\nb\rc\u2028d\ud800\x00\U000e0041!") == "a\nb\nc\nd!"


def test_ids_are_version_7_and_sort_by_time() -> None:
    ids = [uuid7() for _ in range(3)]
    assert {one.version for one in ids} == {7}
    assert len(set(ids)) == 3
    assert sorted(one.int >> 80 for one in ids) == [one.int >> 80 for one in ids]
