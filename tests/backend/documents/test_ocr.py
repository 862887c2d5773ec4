"""Text recognition through the parser's real process. What stands for tesseract reads the picture from its standard
input and answers with what it was given."""

import json
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from pytest_django import Settings

from backend.documents.extraction import Extraction, extract
from backend.documents.parser import ocr
from tests.backend.documents.samples import assembled, pdf

STAND_IN = f"""#!{sys.executable}
import json, os, sys
head = sys.stdin.buffer.readline()
pixels = sys.stdin.buffer.read()
print(json.dumps(dict(head=head.decode(), dark=pixels.count(0), length=len(pixels), arguments=sys.argv[1:],
                      environment=sorted(os.environ))))
"""


def scanned(*pages: str) -> bytes:
    """Pages with a black square in the middle, and words where there are any."""
    data = pdf([words or "x" for words in pages])
    square = b"150 200 300 400 re f"
    return data.replace(b"BT /F1 12 Tf 50 700 Td (x) Tj ET", square.ljust(len(b"BT /F1 12 Tf 50 700 Td (x) Tj ET")))


def read(data: bytes) -> Extraction:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return extract(file, format_name="pdf", tick=lambda _done, _total: None)


def install(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "tesseract"
    path.write_text(program)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    install(STAND_IN, tmp_path, monkeypatch)
    settings.OCR_LANGUAGES = "eng+deu"


@pytest.mark.usefixtures("stand_in")
def test_only_pages_without_text_are_recognised() -> None:
    pages = read(scanned("", "Words of its own.", "")).pages
    assert pages[1].text == "Words of its own."
    for page in (pages[0], pages[2]):
        seen = json.loads(page.text)
        assert seen["arguments"] == ["stdin", "stdout", "-l", "eng+deu"]
        assert seen["head"].startswith("P5 1667 2223 255")
        assert seen["length"] == 1667 * 2223
        assert 0.2 < seen["dark"] / seen["length"] < 0.3


@pytest.mark.usefixtures("stand_in")
def test_the_program_is_told_nothing_of_ours() -> None:
    environment = json.loads(read(scanned("")).pages[0].text)["environment"]
    assert not {"SECRET_KEY", "DATABASE_URL"} & set(environment)
    assert "OMP_THREAD_LIMIT" in environment


def test_without_languages_nothing_is_recognised(settings: Settings) -> None:
    settings.OCR_LANGUAGES = ""
    assert [page.text for page in read(scanned("")).pages] == [""]


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nkill -9 $$\n", "no program at all"])
def test_a_program_that_fails_leaves_the_page_empty(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    install(program, tmp_path, monkeypatch)
    settings.OCR_LANGUAGES = "eng"
    assert [page.text for page in read(scanned("")).pages] == [""]


def test_pages_beyond_the_time_for_it_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    install("#!/bin/sh\nsleep 1\necho words\n", tmp_path, monkeypatch)
    settings.OCR_LANGUAGES, settings.PARSER_SECONDS = "eng", 4
    found = read(scanned(*[""] * 10))
    assert found.pages[0].text == "words"
    assert found.pages[9].text == ""
    assert [part.part.partition(" ")[2] for part in found.refused] == ["pages without text"]


@pytest.mark.usefixtures("stand_in")
def test_a_page_as_large_as_a_field_is_rendered_small() -> None:
    data = assembled(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 14400 14400]>>",
        ],
        b"",
    )
    seen = json.loads(read(data).pages[0].text)
    assert seen["length"] < 13_000_000


@pytest.mark.parametrize("languages", ["", "eng; rm -rf /", "--help", "eng+", "../eng", "e" * 40])
def test_only_names_of_languages_are_passed_on(languages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(STAND_IN, tmp_path, monkeypatch)
    assert ocr.command(languages) == []
