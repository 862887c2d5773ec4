import time

import pytest

from backend.documents.chunking import Span
from backend.documents.headings import MAX_PATH_CHARS, paths, within


def at(text: str, *words: str) -> list[str]:
    """The path of passages that begin with these words."""
    spans = [Span(text.index(word), text.index(word) + len(word)) for word in words]
    return paths([text], [spans])[0]


def test_a_passage_stands_under_the_headings_above_its_first_character() -> None:
    text = "before\n# Book\nintro\n## One\nfirst\n### Deep\ninside\n## Two\nsecond"
    assert at(text, "before", "intro", "## One", "first", "inside", "second") == [
        "",
        "Book",
        "Book > One",
        "Book > One",
        "Book > One > Deep",
        "Book > Two",
    ]


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("Book > One", "here", "Book > One"),
        ("Book > One", "## One\ntext\n## Two\nhere", "Book > Two"),
        ("Book > One", "text\n### Deep\nhere\n## Two", "Book > One > Deep"),
        ("Book > One > Deep", "text\n## Two\nhere", "Book > Two"),
        ("One", "## One\ntext\n## Two\nhere", "Two"),
        ("Book > One", "#notes and\n```\n# code\n```\nhere", "Book > One"),
        ("", "text\n# Book\nhere", "Book"),
    ],
)
def test_a_place_in_a_passage_stands_under_the_headings_in_it_too(path: str, text: str, told: str) -> None:
    assert within(path, text, text.index("here")) == told


def test_headings_reach_over_the_ends_of_pages() -> None:
    pages = ["# Book\n## One\ntext", "goes on\n## Two\nmore", "", "last"]
    spans = [[Span(7, 9)], [Span(0, 4), Span(15, 19)], [], [Span(0, 4)]]
    assert paths(pages, spans) == [["Book > One"], ["Book > One", "Book > Two"], [], ["Book > Two"]]


@pytest.mark.parametrize(
    "line", ["#no space", "####### seven", "    # code", "#", "## ##", "text # not first", "\t# tab"]
)
def test_what_only_looks_like_a_heading_is_none(line: str) -> None:
    assert at(f"# Book\n{line}\nwords", "words") == ["Book"]


@pytest.mark.parametrize(
    ("line", "heading"),
    [("# About C#", "About C#"), ("## Closed ##  ", "Closed"), ("   # Indented", "Indented"), ("#\ttab", "tab")],
)
def test_a_heading_is_its_words(line: str, heading: str) -> None:
    assert at(f"{line}\nwords", "words") == [heading]


@pytest.mark.parametrize(
    "code", ["```\n# comment\n```", "~~~py\n# comment\n~~~", "````\n```\n# comment\n````", "```\n# comment\n``` x\n```"]
)
def test_a_comment_in_code_is_no_heading(code: str) -> None:
    assert at(f"# Book\n{code}\nwords", "words") == ["Book"]


def test_a_long_path_keeps_its_innermost_headings() -> None:
    text = "".join(f"{'#' * level} {'x' * 140}{level}\n" for level in range(1, 7)) + "words"
    (path,) = at(text, "words")
    assert path.endswith("x6")
    assert "x5 > " in path
    assert len(path) <= MAX_PATH_CHARS


@pytest.mark.parametrize("unit", ["# a #", "#", "# a\n", "```\n", "~", " #", "# #\n", "\n"])
def test_the_time_is_linear_in_the_text(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        begun = time.process_time()
        paths([text], [[Span(start, start + 1) for start in range(0, size, 1000)]])
        return time.process_time() - begun

    # The shortest of some: the collector, which has all the tests to walk over, may come in between.
    assert min(seconds(1_000_000) for _ in range(3)) < 40 * max(seconds(100_000), 0.005)
