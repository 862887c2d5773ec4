import io
import os
import pty

import pytest

from launcher.console import Console, Lines


def test_a_line_has_time_name_and_text() -> None:
    out = io.StringIO()
    Console(out).line("web", "hello \n")
    assert out.getvalue()[8:] == " web      | hello\n"


def test_control_characters_in_a_log_cannot_move_the_cursor() -> None:
    out = io.StringIO()
    Console(out).line("web", "\x1b[2Jgone\r\x07\x9b\ttab é")
    assert out.getvalue().endswith("| ?[2Jgone???\ttab é\n")


@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch, no_colour: str, coloured: bool) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb") as screen:
        Console(terminal).line("web", "hello")
        assert (b"\x1b[36m" in screen.read1(1024)) is coloured


def test_lines_are_put_together_from_pieces() -> None:
    lines = Lines()
    assert lines.feed(b"one\ntw") == ["one"]
    assert lines.feed("o é".encode()[:-1]) == []
    assert lines.feed("é".encode()[-1:] + b"\n") == ["two é"]
    assert lines.feed(b"\xff") + lines.end() == ["�"]
    assert lines.end() == []


def test_a_line_without_an_end_is_cut() -> None:
    lines = Lines()
    assert lines.feed(b"x" * 9000) == ["x" * 9000]
    assert lines.end() == []
