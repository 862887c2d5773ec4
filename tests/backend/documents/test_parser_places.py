"""One file of each format, made by a program that people use or taken from this machine: a sentence that is known to be
in it is found at the place that its page names."""

import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from backend.config.settings import ROOT
from backend.core.text import clean_text
from backend.documents.extraction import extract
from tests.backend.documents.reading import pages, text, written
from tests.backend.documents.samples import pdf, real_pdf

SHARED = ROOT.parent / "shared" / "data"


@pytest.mark.parametrize(
    ("filename", "label", "sentence"),
    [
        ("lighthouses.docx", "Page 1", "## Lamps\n\nFresnel lenses came in 1823."),
        ("lighthouses.docx", "Page 1", "| Name | Year |\n| Eddystone | 1759 |"),
        ("lighthouses.docx", "Page 2", "The second page tells of fog horns."),
        ("tides.pptx", "Slide 1: Tides of the North Sea", "A lecture in three slides"),
        ("tides.pptx", "Slide 2: Causes", "  - The sun helps with about 46 percent of the force."),
        ("tides.pptx", "Slide 2: Causes", "Notes:\nMention the barycentre here."),
        ("tides.pptx", "Slide 3: Ranges", "| Harbour | Range in metres |\n| Husum | 3.5 |"),
        ("harbours.xlsx", "Sheet Prices, rows 1-42", "Row 1: Berth prices of the season"),
        ("harbours.xlsx", "Sheet Prices, rows 43-82", "| 43 | Harbour 39 | 2024-02-09 | 19.75 | 23.5025 |"),
        ("harbours.xlsx", "Sheet Prices, row 123", "| Row | Harbour | Since | Price | With tax |"),
        ("knots.odt", "Section 1", "# Knots\n\nA bowline makes a loop that does not slip."),
        ("knots.odt", "Section 1", "- Mooring\n\n| Knot | Strength |\n| Bowline | 60 percent |"),
        ("sea.epub", "Chapter 1: The Shore", "Limpets return to their home scar at low tide."),
        ("sea.epub", "Chapter 2: The Deep", "## Vents\n\nTube worms live beside black smokers."),
        ("departure.eml", "Message of 2024-05-07", "Subject: Abfahrt nach Hörnum – neue Zeit\n\nWe cast off at 05:45"),
        ("departure.eml", "Attachment depths.csv", "| 2 | Husum | 2.1 |"),
    ],
)
def test_a_sentence_is_found_at_its_place(filename: str, label: str, sentence: str) -> None:
    found = {page.label: page.text for page in pages(written(filename), filename.rpartition(".")[2])}
    assert sentence in found[label]


def on_this_machine(path: Path) -> bytes:
    if not path.exists():
        pytest.skip(f"{path.name} is not on this machine")
    return path.read_bytes()


def test_a_real_annual_report_is_found_by_its_page() -> None:
    found = {page.label: page.text for page in pages(real_pdf("ADOBE_2022_10K.pdf").read_bytes(), "pdf")}
    assert "Illustrator, Lightroom, Premiere Pro" in found["Page 4"]


def test_a_real_corpus_of_json_lines_is_found_by_its_line() -> None:
    data = on_this_machine(SHARED / "cranfield" / "corpus.jsonl")
    number, line = next(
        (number, line) for number, line in enumerate(data.decode().split("\n"), 1) if "boundary layer" in line
    )
    assert any(f"Line {number}\n" in page.text for page in pages(data, "jsonl")), line


def test_a_real_table_of_releases_is_found_by_its_row() -> None:
    found = text(on_this_machine(Path("/usr/share/distro-info/debian.csv")), "csv")
    assert "| Row | version | codename | series |" in found
    assert "| 2 | 1.1 | Buzz | buzz |" in found


def test_real_source_code_is_found_by_its_lines() -> None:
    source = Path(sysconfig.get_path("stdlib")) / "difflib.py"
    lines = source.read_text().split("\n")
    found = {page.label: page.text for page in pages(source.read_bytes(), "code")}
    assert lines[249] in found["Lines 201-400"].split("\n")[49]


def test_a_real_odt_is_read() -> None:
    folder = Path(sys.base_prefix, *Path(sysconfig.get_path("purelib")).parts[-3:])
    pages(on_this_machine(folder / "docutils" / "writers" / "odf_odt" / "styles.odt"), "odt")


CONFINED = {
    "docx": written("lighthouses.docx"),
    "pptx": written("tides.pptx"),
    "xlsx": written("harbours.xlsx"),
    "odt": written("knots.odt"),
    "epub": written("sea.epub"),
    "eml": written("departure.eml"),
    "pdf": pdf(["Words."]),
    "rtf": rb"{\rtf1\ansi{\fonttbl{\f0\fcharset128 A;}}\f0 \'93\'fa}",
    "html": "<meta charset=koi8-r><p>слова".encode("koi8-r"),
    "markdown": b"# Words",
    "text": "Die schönen Äpfel über der Straße gehören den Müllers aus München. ".encode("cp1252") * 5,
    "csv": "a;b\n1;ü\n".encode("cp1252") * 5,
    "json": b'{"a": 1}',
    "jsonl": b'{"a": 1}',
    "code": b"x = 1",
}


@pytest.mark.parametrize("name", CONFINED)
def test_each_format_is_read_alike_where_nothing_can_be_opened_any_more(name: str) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(CONFINED[name])
        file.seek(0)
        found = extract(file, format_name=name, tick=lambda _done, _total: None)
    assert [page.text for page in found.pages] == [clean_text(page.text) for page in pages(CONFINED[name], name)]
    assert any(page.text for page in found.pages)
