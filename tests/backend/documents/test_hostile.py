"""Every file of the hostile corpus through the parser's real process, which has a second for each instead of 60: the
long form of R15 gives it all of them, and wants the one right end."""

import tempfile
import time

import pytest
from pytest_django import Settings

from backend.documents.extraction import ExtractionFailed, extract
from backend.documents.failures import FAILURES
from tests.backend.documents.hostile import CORPUS

SECONDS = 1
AFTER_A_LOOK = {"corrupt_file", "text_too_long", "too_many_pages"}  # which a slow machine may not have time for
SLACK = 10  # to make the process, to end it, and to wait for a processor


def test_the_corpus_has_at_least_72_files() -> None:
    assert len(CORPUS) >= 72


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_file_ends_with_its_pages_or_with_a_reason(name: str, settings: Settings) -> None:
    settings.PARSER_SECONDS = SECONDS
    hostile = CORPUS[name]
    outcome, seconds = outcome_of(hostile.make(), hostile.format)
    allowed = set(hostile.codes) or {"read", *FAILURES}
    if allowed & AFTER_A_LOOK:
        allowed.add("parser_timeout")
    assert outcome in allowed, f"{outcome} after {seconds:.1f} s"
    assert seconds < SECONDS + SLACK


def outcome_of(data: bytes, format_name: str) -> tuple[str, float]:
    """The failure's code, or "read", and how long it took."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        begun = time.monotonic()
        try:
            extract(file, format_name=format_name, tick=lambda _done, _total: None)
        except ExtractionFailed as exc:
            return exc.code, time.monotonic() - begun
        return "read", time.monotonic() - begun
