"""RTF, JSON, JSON lines and source code."""

import pytest

from tests.backend.documents import hostile
from tests.backend.documents.reading import pages, refused, text, why


def rtf(body: str, tables: str = "") -> bytes:
    return f"{{\\rtf1\\ansi\\ansicpg1252{tables}{body}}}".encode("cp1252")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (r"Gr\'fc\'dfe", "Grüße"),
        ("Grüße", "Grüße"),
        (r"\u8364?uro \u-10179?\u-8704?", "€uro 😀"),
        (r"\uc2\u8364\'80\'80uro", "€uro"),
        (r"{\v hidden}seen{\deleted gone}", "seen"),
        (r"{\field{\*\fldinst{HYPERLINK " + '"http://x"' + r"}}{\fldrslt link}}", "link"),
        (r"{\pict\pngblip 89504e47}a{\*\unknown b}c", "ac"),
        (r"a\bin3 }}}b", "ab"),
        (r"\{a\}\~\_\\", "{a}\u00a0\u2011\\"),
        (r"one\par two\line three\tab four", "one\n\ntwo\nthree\tfour"),
        (r"\trowd\intbl A\cell B\par C\cell\row\pard after\par", "| A | B C |\n\nafter"),
        (r"text{\footnote A note.} goes on\par", "text goes on\n\nA note."),
        (r"\pard\outlinelevel1 Head\par\pard words\par", "## Head\n\nwords"),
    ],
)
def test_rtf_is_read_as_it_is_seen(body: str, words: str) -> None:
    assert text(rtf(body), "rtf") == words


def test_rtf_headings_fonts_and_pages() -> None:
    tables = r"{\fonttbl{\f0 A;}{\f1\fcharset204 B;}{\f2\fcharset128 C;}}{\stylesheet{\s0 Normal;}{\s7 heading 2;}}"
    body = r"\pard\s7 Head\par\pard{\f1 \'cf\'f0\'e8} {\f2 \'93\'fa\'96\'7b}\page second\par"
    assert [page.text for page in pages(rtf(body, tables), "rtf")] == ["## Head\n\nПри 日本", "second"]


def test_rtf_that_is_none_is_refused() -> None:
    assert why(b"{\\pdf", "rtf") == "corrupt_file"
    assert why(hostile.CORPUS["nested.rtf"].make(), "rtf") == "corrupt_file"


def test_each_value_of_json_stands_beside_its_path() -> None:
    assert text(b'{"a": {"b": [1.10, null, "x"]}, "c": [{"d": true}]}', "json") == (
        "a.b[0]: 1.10\na.b[1]: null\na.b[2]: x\n\nc[0].d: true"
    )
    assert text(b'"just words"', "json") == "value: just words"


def test_pages_of_json_end_between_records_and_name_their_first_and_last() -> None:
    records = ",".join(f'{{"name": "person {number}", "about": "{"words " * 20}"}}' for number in range(100))
    found = pages(f'{{"people": [{records}]}}'.encode(), "json")
    assert found[0].label.startswith("people[0] to people[")
    assert all(page.text.startswith("people[") and ".name: " in page.text.split("\n")[0] for page in found)


def test_each_record_of_json_lines_stands_under_its_number() -> None:
    assert text(b'{"a": 1}\n\n{"a": 2}\n', "jsonl") == "Line 1\na: 1\n\nLine 3\na: 2"


def test_a_broken_line_is_named_and_does_not_cost_the_others() -> None:
    assert refused(b'{"a": 1}\nbroken\n', "jsonl") == {"Line 2": "It is no JSON."}
    many = refused(b"1\n" + b"broken\n" * 30, "jsonl")
    assert many["10 more lines"] == "They are no JSON."
    assert why(b"broken\nbroken", "jsonl") == "corrupt_file"


def test_source_code_stays_as_it_is_and_tells_its_lines() -> None:
    found = pages(b"".join(b"\tline %d\r\n" % number for number in range(1, 451)), "code")
    assert [page.label for page in found] == ["Lines 1-200", "Lines 201-400", "Lines 401-450"]
    assert found[1].text.startswith("\tline 201\n")


def test_a_line_without_end_comes_in_parts() -> None:
    found = pages(b"first\n" + b"x = 1; " * 10_000 + b"\nlast", "code")
    assert [page.label for page in found][:3] == ["Line 1", "Line 2, part 1", "Line 2, part 2"]
    assert found[-1].label == "Line 3"
